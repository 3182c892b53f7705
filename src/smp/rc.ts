/** One number a device may answer, in words. */
export interface ErrorRow {
  readonly rc: number;
  /** As in the header file it comes from, without its prefix. */
  readonly name: string;
  /** One sentence for a technician. */
  readonly says: string;
  /** What to try. */
  readonly hint?: string | undefined;
}

/** Codes from here up are an application's own. Zephyr, mgmt_defines.h, `MGMT_ERR_EPERUSER`. */
export const FIRST_USER_CODE = 256;

/** Return codes of SMP itself (`rc`). Zephyr, mgmt_defines.h, `mcumgr_err_t`. */
export const RETURN_CODES: readonly ErrorRow[] = [
  row(0, "EOK", "Success."),
  row(1, "EUNKNOWN", "The device failed and gives no reason.", "Look at the device's log, then try again."),
  row(
    2,
    "ENOMEM",
    "The device has no memory or message buffer left.",
    "Wait a few seconds and try again; send smaller messages.",
  ),
  row(
    3,
    "EINVAL",
    "The device does not accept the request's contents.",
    "A value is missing, too long or out of range for this device.",
  ),
  row(4, "ETIMEOUT", "The device gave up waiting for something.", "Try again."),
  row(
    5,
    "ENOENT",
    "The device does not have what was asked for.",
    "Check the name, hash or slot: it must exist on the device.",
  ),
  row(
    6,
    "EBADSTATE",
    "The device cannot do this in its present state.",
    "Look at the image list: a running, pending or unconfirmed image may be in the way.",
  ),
  row(
    7,
    "EMSGSIZE",
    "The answer does not fit the device's buffer.",
    "If the command changes something, it has probably been carried out: check before you repeat it. Ask for less, or build the firmware with a larger message buffer.",
  ),
  row(
    8,
    "ENOTSUP",
    "The device does not have this command.",
    "Its firmware was built without it; serial recovery has fewer commands than an application.",
  ),
  row(9, "ECORRUPT", "The device found the data damaged.", "Send it again."),
  row(
    10,
    "EBUSY",
    "The device is busy.",
    "Wait and try again. To restart a board that stays busy, use bootproof reset --force.",
  ),
  row(11, "EACCESSDENIED", "The device refuses access.", "Its application forbids this, at least now."),
  row(
    12,
    "UNSUPPORTED_TOO_OLD",
    "The device refuses SMP version 1.",
    "Use version 2, which is what this program sends first.",
  ),
  row(13, "UNSUPPORTED_TOO_NEW", "The device does not know this SMP version.", "Use version 1."),
];

const COMMON: readonly ErrorRow[] = [
  row(0, "OK", "Success."),
  row(1, "UNKNOWN", "The device failed and gives no reason.", "Look at the device's log, then try again."),
];

const FLASH_HINT = "Try again; if it persists, the flash or its driver is faulty.";
const FILE_HINT = "Try again; if it persists, the file system may be full or damaged.";
const NO_ROOM_HINT =
  "The file system may be full. If an older file of this name takes the space, fs put --replace deletes it first.";
const ERASE_AND_REPEAT = "Erase the slot, then send the image again.";
const SIGN_AGAIN = "Check that the file is a signed MCUboot image and not damaged: sign it again.";
const START_OVER = "Begin the upload again at offset 0.";

/** Errors of the groups (`err`, SMP version 2), by group number. Zephyr, the `*_mgmt.h` header of each group. */
export const GROUP_ERRORS: Readonly<Record<number, readonly ErrorRow[]>> = {
  // os_mgmt.h, OS_MGMT_ERR_*
  0: [
    ...COMMON,
    row(
      2,
      "INVALID_FORMAT",
      "The device does not know one of the information letters.",
      "Ask for s n r v b m p i o or a.",
    ),
    row(
      3,
      "QUERY_YIELDS_NO_ANSWER",
      "The device does not support this bootloader query.",
      "Only `mode` is common.",
    ),
    row(4, "RTC_NOT_SET", "The device's clock was never set.", "Set the date and time first."),
    row(5, "RTC_COMMAND_FAILED", "The device's clock does not work.", "Check its clock hardware and driver."),
    row(
      6,
      "QUERY_RESPONSE_VALUE_NOT_VALID",
      "The bootloader's information is not valid.",
      "The bootloader may be older than the application expects.",
    ),
  ],
  // img_mgmt.h, IMG_MGMT_ERR_*
  1: [
    ...COMMON,
    row(2, "FLASH_CONFIG_QUERY_FAIL", "The device cannot read the layout of its flash.", FLASH_HINT),
    row(3, "NO_IMAGE", "The slot holds no image.", "Upload one first."),
    row(4, "NO_TLVS", "The image in the slot has no TLV area.", SIGN_AGAIN),
    row(5, "INVALID_TLV", "The TLV area of the image is broken.", SIGN_AGAIN),
    row(6, "TLV_MULTIPLE_HASHES_FOUND", "The image has two hashes.", SIGN_AGAIN),
    row(7, "TLV_INVALID_SIZE", "A TLV of the image has a wrong size.", SIGN_AGAIN),
    row(
      8,
      "HASH_NOT_FOUND",
      "No slot holds an image with this hash.",
      "Look at the image list; upload the image first.",
    ),
    row(
      9,
      "NO_FREE_SLOT",
      "No slot is free: the slot is running, pending or needed to revert.",
      "Confirm the running image, or reset so that it reverts, then try again.",
    ),
    row(10, "FLASH_OPEN_FAILED", "The device cannot open its flash.", FLASH_HINT),
    row(11, "FLASH_READ_FAILED", "Reading flash failed.", FLASH_HINT),
    row(12, "FLASH_WRITE_FAILED", "Writing flash failed.", ERASE_AND_REPEAT),
    row(13, "FLASH_ERASE_FAILED", "Erasing flash failed.", FLASH_HINT),
    row(14, "INVALID_SLOT", "The device has no such slot.", "See the slot information for its numbers."),
    row(15, "NO_FREE_MEMORY", "The device has no memory left.", "Wait a few seconds and try again."),
    row(
      16,
      "FLASH_CONTEXT_ALREADY_SET",
      "An upload is already in progress.",
      "Reset the device, then try again.",
    ),
    row(17, "FLASH_CONTEXT_NOT_SET", "No upload is in progress.", START_OVER),
    row(18, "FLASH_AREA_DEVICE_NULL", "The flash of this slot is not available.", FLASH_HINT),
    row(19, "INVALID_PAGE_OFFSET", "The offset is outside the slot's flash.", START_OVER),
    row(20, "INVALID_OFFSET", "The request has no offset.", START_OVER),
    row(21, "INVALID_LENGTH", "The first chunk does not state the size of the image.", START_OVER),
    row(
      22,
      "INVALID_IMAGE_HEADER",
      "The first chunk is too short to hold the image header.",
      "At least 32 bytes must fit the first message: the device's buffer may be too small for it.",
    ),
    row(23, "INVALID_IMAGE_HEADER_MAGIC", "This is not an MCUboot image.", SIGN_AGAIN),
    row(
      24,
      "INVALID_HASH",
      "The hash is missing or has a wrong length.",
      "Give the image's hash as the list shows it.",
    ),
    row(
      25,
      "INVALID_FLASH_ADDRESS",
      "The image was built for another address.",
      "Build it for the slot it goes to: the bootloader runs images in place.",
    ),
    row(
      26,
      "VERSION_GET_FAILED",
      "The version of the running image cannot be read.",
      "Send it without the upgrade check.",
    ),
    row(
      27,
      "CURRENT_VERSION_IS_NEWER",
      "The image is not newer than the running one.",
      "Send a higher version, or send it without the upgrade check.",
    ),
    row(
      28,
      "IMAGE_ALREADY_PENDING",
      "An image is already marked for the next boot.",
      "Reset the device first.",
    ),
    row(29, "INVALID_IMAGE_VECTOR_TABLE", "The image does not begin with a vector table.", SIGN_AGAIN),
    row(30, "INVALID_IMAGE_TOO_LARGE", "The image is larger than the slot.", "Build a smaller image."),
    row(31, "INVALID_IMAGE_DATA_OVERRUN", "More data arrived than the first chunk announced.", START_OVER),
    row(
      32,
      "IMAGE_CONFIRMATION_DENIED",
      "The device's firmware forbids confirming this image.",
      "Mark it for test, reset, and confirm it while it runs. For an image other than 0 the firmware has to be built with CONFIG_MCUMGR_GRP_IMG_ALLOW_CONFIRM_NON_ACTIVE_IMAGE_ANY=y.",
    ),
    row(
      33,
      "IMAGE_SETTING_TEST_TO_ACTIVE_DENIED",
      "The running image cannot be marked for a test boot: it runs already.",
      "Keep it with bootproof image confirm. To test another image, upload it first and give its hash.",
    ),
    row(
      34,
      "ACTIVE_SLOT_NOT_KNOWN",
      "The device does not know which slot it runs from.",
      "Look at the device's log.",
    ),
  ],
  // stat_mgmt.h, STAT_MGMT_ERR_*
  2: [
    ...COMMON,
    row(2, "INVALID_GROUP", "The device has no such statistics group.", "List the statistics groups."),
    row(3, "INVALID_STAT_NAME", "The device has no such statistic.", "List the statistics groups."),
    row(
      4,
      "INVALID_STAT_SIZE",
      "The statistic has a size the device cannot send.",
      "Its firmware has a fault.",
    ),
    row(5, "WALK_ABORTED", "Reading the statistics was aborted.", "Try again."),
  ],
  // settings_mgmt.h, SETTINGS_MGMT_ERR_*
  3: [
    ...COMMON,
    row(2, "KEY_TOO_LONG", "The setting's name is too long for the device.", "The usual limit is 32 bytes."),
    row(
      3,
      "KEY_NOT_FOUND",
      "The device has no such setting.",
      "Check the name: whole and without a leading slash.",
    ),
    row(
      4,
      "READ_NOT_SUPPORTED",
      "This setting cannot be read.",
      "Its owner in the firmware has no read function.",
    ),
    row(
      5,
      "ROOT_KEY_NOT_FOUND",
      "The device has no such settings tree.",
      "Check the first part of the name.",
    ),
    row(
      6,
      "WRITE_NOT_SUPPORTED",
      "This setting cannot be written.",
      "Its owner in the firmware has no write function.",
    ),
    row(
      7,
      "DELETE_NOT_SUPPORTED",
      "This setting cannot be deleted.",
      "Its storage does not support deletion.",
    ),
    row(
      8,
      "SAVE_NOT_SUPPORTED",
      "The settings cannot be saved.",
      "The firmware has no settings storage, or it failed: look at its CONFIG_SETTINGS options and its log.",
    ),
  ],
  // fs_mgmt.h, FS_MGMT_ERR_*
  8: [
    ...COMMON,
    row(
      2,
      "FILE_INVALID_NAME",
      "This is not a valid file name.",
      "Give an absolute path such as /lfs1/name.",
    ),
    row(
      3,
      "FILE_NOT_FOUND",
      "The device has no such file.",
      "Check the path: it begins with the mount point, and upper and lower case matter.",
    ),
    row(4, "FILE_IS_DIRECTORY", "This is a directory.", "Name a file in it."),
    row(5, "FILE_OPEN_FAILED", "The file cannot be opened.", FILE_HINT),
    row(6, "FILE_SEEK_FAILED", "The position in the file cannot be reached.", FILE_HINT),
    row(7, "FILE_READ_FAILED", "Reading the file failed.", FILE_HINT),
    row(8, "FILE_TRUNCATE_FAILED", "The old contents cannot be removed.", FILE_HINT),
    row(9, "FILE_DELETE_FAILED", "The file cannot be deleted.", FILE_HINT),
    row(10, "FILE_WRITE_FAILED", "Writing the file failed.", NO_ROOM_HINT),
    row(
      11,
      "FILE_OFFSET_NOT_VALID",
      "The chunk does not continue the file.",
      "Go on at the size the device answers as `len`.",
    ),
    row(
      12,
      "FILE_OFFSET_LARGER_THAN_FILE",
      "The offset is beyond the end of the file.",
      "Begin at offset 0.",
    ),
    row(13, "CHECKSUM_HASH_NOT_FOUND", "The device cannot compute this hash.", "List its hash types."),
    row(
      14,
      "MOUNT_POINT_NOT_FOUND",
      "No file system is mounted there, or the folder does not exist.",
      "Check the whole path: SMP cannot create folders.",
    ),
    row(15, "READ_ONLY_FILESYSTEM", "The file system is read-only.", "Choose another mount point."),
    row(16, "FILE_EMPTY", "The file is empty.", "There is nothing to hash or read."),
  ],
  // shell_mgmt.h, SHELL_MGMT_ERR_*
  9: [
    ...COMMON,
    row(2, "COMMAND_TOO_LONG", "The command line is too long for the device's shell.", "Shorten it."),
    row(3, "EMPTY_COMMAND", "The command line is empty.", "Give a command."),
  ],
  // enum_mgmt.h, ENUM_MGMT_ERR_*
  10: [
    ...COMMON,
    row(
      2,
      "TOO_MANY_GROUP_ENTRIES",
      "More groups were asked for than the device can take.",
      "Ask for fewer groups.",
    ),
    row(
      3,
      "INSUFFICIENT_HEAP_FOR_ENTRIES",
      "The device has no memory for this list.",
      "Ask for fewer groups.",
    ),
    row(4, "INDEX_TOO_LARGE", "The device has fewer groups than that.", "Count the groups first."),
  ],
  // zephyr_basic.h
  63: [
    ...COMMON,
    row(2, "FLASH_OPEN_FAILED", "The storage partition cannot be opened.", FLASH_HINT),
    row(3, "FLASH_CONFIG_QUERY_FAIL", "The layout of the storage partition cannot be read.", FLASH_HINT),
    row(4, "FLASH_ERASE_FAILED", "Erasing the storage partition failed.", FLASH_HINT),
  ],
};

/** The row for a return code, `own` rows first; for one no table has, a row that says so. */
export function explainReturnCode(rc: number, own: readonly ErrorRow[] = []): ErrorRow {
  const says =
    rc >= FIRST_USER_CODE
      ? `The device answered with return code ${rc}, which its application defines.`
      : `The device answered with return code ${rc}, which SMP does not define.`;
  return find(own, rc) ?? find(RETURN_CODES, rc) ?? row(rc, String(rc), says, "Ask the firmware's author.");
}

/** The row for a group's error, `own` rows first; for one no table has, a row that says so. */
export function explainGroupError(group: number, rc: number, own: readonly ErrorRow[] = []): ErrorRow {
  const says = `The device answered with error ${rc} of group ${group}, which is not a known one.`;
  return (
    find(own, rc) ??
    find(GROUP_ERRORS[group] ?? COMMON, rc) ??
    row(rc, String(rc), says, "Ask the firmware's author.")
  );
}

function find(rows: readonly ErrorRow[], rc: number): ErrorRow | undefined {
  return rows.find((entry) => entry.rc === rc);
}

function row(rc: number, name: string, says: string, hint?: string): ErrorRow {
  return { rc, name, says, hint };
}
