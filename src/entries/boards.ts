/** `bootproof/boards`: boards on this machine and emulated ones: which there are, how they are described, their power. */

import { useOpenssl } from "../crypto-node/openssl.js";

export { addressMeant, hasBaudBehindPath } from "../boards/address-meant.js";
export { allowConfig, configFingerprint, isForeign } from "../boards/allowed-configs.js";
export {
  BOARD_FIELDS,
  type BoardDescription,
  BoardDescriptionError,
  type BoardDetails,
  type IdentitySource,
  readBoardDescription,
} from "../boards/board-description.js";
export { boardIdentityOf } from "../boards/board-identity.js";
export {
  boardsPluggedIn,
  ChoiceError,
  deviceMeant,
  devicesHere,
  type Followed,
  follow,
  followUsb as followUsbAddress,
  isPluggedIn,
  linesFor,
  namedDevices,
  namesDevice,
  onlyDevice,
  openable,
} from "../boards/choose-device.js";
export {
  type Config,
  ConfigError,
  defaultDevice,
  loadConfig,
  parseConfig,
  projectConfigFile,
  sensitiveParts,
} from "../boards/config.js";
export { isUrl } from "../boards/tuf-config.js";
export {
  type Device,
  type DeviceIdentity,
  type DevicePort,
  type DeviceState,
  looksLikeBoard,
} from "../devices/device.js";
export { DeviceTracker, findAgain, identityOf } from "../devices/device-tracker.js";
export { type FollowedUsb, followUsb } from "../devices/follow-usb.js";
export {
  allProfiles,
  type DeviceChange,
  type ListDevicesOptions,
  listDevices,
  watchDevices,
} from "../devices/list.js";
export {
  looksLikeDevice,
  type NamedDevice,
  nameOf,
  namesOf,
  SelectionError,
  selectDevice,
  smpPort,
} from "../devices/select.js";
export { UDEV_RULES_PATH, udevRules } from "../devices/udev.js";
export { type Board, BoardError, type BoardEvent, type Cut, type Machine } from "../emulator/board.js";
export {
  boardVariant,
  boardVariants,
  fixtureBody,
  fixtureImages,
  fixtureKey,
  fixtureKeyPath,
  weakVariants,
} from "../emulator/catalog.js";
export {
  type FlashArea,
  GEOMETRIES,
  type Geometry,
  type GeometryName,
  LAYOUT,
  sectorCount,
} from "../emulator/layout.js";
export type { BoardVariant } from "../emulator/manifest.js";
export { needsTrailer, type SignFixtureOptions, signedFixture } from "../emulator/signed-fixture.js";
export { type StartOptions, startBoard } from "../emulator/start.js";
export { commandSwitch, runProgram } from "../power/command.js";
export { httpSwitch } from "../power/http.js";
export { hubSwitch } from "../power/hub.js";
export { type HubDescriptor, type HubSwitching, readHubDescriptor } from "../power/hub-descriptor.js";
export {
  type PowerConfig,
  PowerError,
  type PowerErrorCode,
  type PowerSwitch,
  readPower,
} from "../power/power.js";
export { powerSwitch } from "../power/switch.js";
export {
  type LivenessProbe as Vitals,
  type PowerProof,
  type ProofEvent,
  type ProofOptions,
  provePower,
} from "../power/verify-switch.js";
export { KNOWN_BOARDS } from "../profiles/boards.js";
export type { BoardProfile, LineStep } from "../profiles/profile.js";
export { ProfileError, readProfiles } from "../profiles/read.js";

useOpenssl();
