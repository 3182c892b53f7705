import { describe } from "vitest";
import { describeBoard } from "../support/board-cases.js";

describe("the wasm board", () => describeBoard("wasm"));
