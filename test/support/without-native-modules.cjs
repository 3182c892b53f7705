// A preload: makes this process one in which no package's native part loads, as with another system's node_modules.
// BOOTPROOF_TEST_PLATFORM: the system that is played, for what is decided by its name.
process.dlopen = (_module, file) => {
  throw new Error(`${file}: invalid ELF header`);
};
const played = process.env.BOOTPROOF_TEST_PLATFORM;
if (played) Object.defineProperty(process, "platform", { value: played });
