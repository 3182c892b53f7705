// A group of one's own: two commands of group 200, as verbs `bootproof counters read` and `bootproof counters boot`.
export default ({ command, list, object, optional, uint, text, int }) => {
  const slot = object({ slot: uint, counter: optional(uint) });
  const image = object({ image: uint, counter: optional(uint), slots: list(slot) });
  const read = command({
    name: "counters read", does: "read the security counters",
    group: 200, id: 0, op: "read", request: {}, response: { images: list(image) },
  });
  const boot = command({
    name: "counters boot", does: "read how the board came to run what it runs",
    group: 200, id: 2, op: "read", request: {}, response: { mode: int, state: text },
  });
  return { name: "counters", does: "security counters, from a plug-in", commands: [read, boot] };
};
