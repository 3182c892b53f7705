// Two commands of group 200, declared anew as somebody's own group would be:
//   bootproof --plugin trust-plugin.mjs counters read -d wasm:good
export default ({ command, list, object, optional, uint, text, int }) => {
  const at = (id) => ({ group: 200, id, op: "read", request: {} });
  const slot = object({ slot: uint, counter: optional(uint) });
  const image = object({ image: uint, counter: optional(uint), slots: list(slot) });
  const counters = { images: list(image) };
  const boot = { mode: int, state: text };
  const commands = [
    command({ ...at(0), name: "counters read", does: "read the security counters", response: counters }),
    command({ ...at(2), name: "counters boot", does: "read how the board started", response: boot }),
  ];
  return { name: "counters", does: "security counters, from a plug-in", commands };
};
