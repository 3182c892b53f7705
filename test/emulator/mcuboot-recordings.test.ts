import { expect, test } from "vitest";
import { imageBytes, imageNames, recordingNames } from "../support/mcuboot-recordings.js";

test("every recorded image is built from its recipe", () => {
  expect(imageNames().length).toBeGreaterThan(700);
  for (const name of imageNames().filter((one) => !one.startsWith("k")))
    expect(imageBytes(name).length).toBeGreaterThan(0);
});

test("every recording belongs to one of the files that replay them", () => {
  const files = [/^move-/, /^offset-/, /^scratch-/, /^overwrite/, /^(xip|ramload|single|fwl|fwloader)/];
  for (const name of recordingNames()) expect(files.filter((file) => file.test(name))).toHaveLength(1);
});
