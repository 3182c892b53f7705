import type { BoardProfile, PortFact, SlotFact, UsbMatch } from "./profile.js";

/**
 * The boards that are known by name. Facts only, each with its source; what no source says is left out, and what stands in
 * a document that could not be read again is marked as unverified. Slots are Zephyr's defaults: nRF Connect SDK's partition
 * manager and products of their own place them elsewhere.
 */

/** SEGGER gives its on-board probes many product numbers that do not tell the boards apart: the vendor has to do. */
const JLINK: readonly UsbMatch[] = [{ vendorId: "1366" }];
const JLINK_SOURCE =
  "usb.ids 2025.07.26: 1366 is SEGGER; OpenOCD 0.12.0, udev rules: twenty product numbers of J-Links, none a board";

const NORDIC_DTR = {
  reason: "The debugger leaves its UART pins floating until the terminal raises DTR.",
  dtr: true,
  rts: true,
} as const;
const NORDIC_DTR_SOURCE =
  "docs.nordicsemi.com, nRF54L15 DK Hardware, Virtual serial ports: tri-stated until the terminal sends DTR";

const probeRs = (commit: string, series: string) =>
  `probe-rs/probe-rs@${commit}: probe-rs/targets/${series}_Series.yaml`;
const NRFUTIL = "docs.nordicsemi.com, nRF Util, device program: the core is named on chips with several";
const NRF_TOOLS = `pyOCD 0.46.0, list --targets; ${NRFUTIL}`;

/** A file of Zephyr, read at this commit. */
const zephyr = (commit: string, path: string) => `zephyrproject-rtos/zephyr@${commit}: ${path}`;
const slots = (...[primary, secondary]: [number, number][]): readonly [SlotFact, SlotFact] => [
  { address: primary![0], size: primary![1] },
  { address: secondary![0], size: secondary![1] },
];

const BUTTON_1 =
  "Hold Button 1 of the kit while you press and release its reset button, then let go (if MCUboot was built with CONFIG_BOOT_SERIAL_ENTRANCE_GPIO).";

const STLINK: readonly UsbMatch[] = [
  ...["3748", "374a", "374b", "3752"],
  ...["374d", "374e", "374f", "3753", "3754", "3757"],
].map((productId) => ({ vendorId: "0483", productId }));
const STLINK_SOURCE =
  "stlink-org/stlink@733893a: config/udev/rules.d, ids of ST-LINK/V2, V2-1 and V3; usb.ids 2025.07.26 and OpenOCD 0.12.0 have most of them";
const ST_ROM_DFU: readonly UsbMatch[] = [{ vendorId: "0483", productId: "df11", state: "st-rom-dfu" }];
const ST_PORT: readonly PortFact[] = [
  { role: "smp-and-log", wiredTo: "the ST-LINK's virtual COM port: Zephyr's console UART" },
];
const ST_ROM_BY_HAND =
  "Pull BOOT0 high (on Nucleo-64 boards: a jumper from pin 7 to pin 5 of CN7; on others from the BOOT0 pin of the Morpho connector to VDD), then press reset.";
const ST_ROM_SOURCE =
  "AN2606 as quoted in stm32duino/Arduino_Core_STM32 discussion 2738: BOOT0 high at reset; glegrain/STM32-SPI-Bootloader-host, README: CN7-5 to CN7-7; stm32flash 0.7, table of devices: flash at 0x0800 0000";
const ST_DFU_SOURCE = "usb.ids 2025.07.26: 0483:df11 is ST's device in DFU mode";

export const KNOWN_BOARDS: readonly BoardProfile[] = [
  {
    id: "nrf52840dk",
    name: "nRF52840 DK",
    probe: JLINK,
    ports: [{ role: "smp-and-log", wiredTo: "UART0 (P0.06, P0.08)" }],
    recoveryByHand: BUTTON_1,
    slots: slots([0xc000, 0x76000], [0x82000, 0x76000]),
    chip: { "probe-rs": "nRF52840_xxAA", nrfutil: "Application", pyocd: "nrf52840" },
    sources: {
      probe: JLINK_SOURCE,
      ports: zephyr("07d5b2e", "boards/nordic/nrf52840dk/nrf52840dk_nrf52840.dts, uart-mcumgr = uart0"),
      recoveryByHand: zephyr(
        "07d5b2e",
        "boards/nordic/nrf52840dk/nrf52840dk_nrf52840.dts, mcuboot-button0 = button0, P0.11, BUTTON1",
      ),
      slots: zephyr("7c341bc", "dts/vendor/nordic/nrf52840_partition.dtsi"),
      chip: `${zephyr("5491362", "boards/nordic/nrf52840dk/board.cmake, --target")}; ${probeRs("0974451", "nRF52")}; ${NRF_TOOLS}`,
    },
  },
  {
    id: "nrf52840dongle",
    name: "nRF52840 Dongle",
    // The number alone says nothing: applications made with the same SDK carry it too.
    target: [
      { vendorId: "1915", productId: "521f", product: "Open DFU Bootloader", state: "vendor-bootloader" },
    ],
    recoveryByHand:
      "Hold SW1 while you plug the dongle in. Not RESET: that starts Nordic's own bootloader, which is another one.",
    rom: {
      kind: "nordic-usb",
      byHand: "Press RESET (push it towards the USB connector) until the red LED fades in and out.",
    },
    slots: slots([0x10000, 0x66000], [0x76000, 0x66000]),
    chip: { "probe-rs": "nRF52840_xxAA", pyocd: "nrf52840" },
    sources: {
      target:
        "lists of lsusb and usbipd in public projects: 1915:521f is named Open DFU Bootloader after RESET was pressed, and is the number of other firmware under other names",
      recoveryByHand: zephyr("0a04bc0", "boards/nordic/nrf52840dongle/doc/index.rst, option 2"),
      rom: zephyr("0a04bc0", "boards/nordic/nrf52840dongle/doc/index.rst, option 1"),
      slots: zephyr("82959cb", "boards/nordic/nrf52840dongle/fstab-stock.dtsi"),
      chip: `the chip of the nRF52840 DK; ${probeRs("0974451", "nRF52")}`,
    },
  },
  {
    id: "nrf5340dk",
    name: "nRF5340 DK",
    probe: JLINK,
    ports: [
      { role: "other", wiredTo: "UART1" },
      { role: "smp-and-log", wiredTo: "UART0 of the application core" },
    ],
    recoveryByHand: BUTTON_1,
    slots: slots([0x10000, 0x70000], [0x80000, 0x70000]),
    chip: { "probe-rs": "nRF5340_xxAA", nrfutil: "Application" },
    sources: {
      probe: JLINK_SOURCE,
      ports: "zephyrproject-rtos/zephyr discussion 72581, a measurement: ttyACM0 is uart1, ttyACM1 uart0",
      recoveryByHand: zephyr(
        "293e152",
        "boards/nordic/nrf5340dk/nrf5340dk_common.dtsi, mcuboot-button0 = Push button 1",
      ),
      slots: zephyr("173c119", "dts/vendor/nordic/nrf5340_cpuapp_partition.dtsi"),
      chip: `${probeRs("42a6626", "nRF53")}; ${NRFUTIL}`,
    },
  },
  {
    id: "nrf9160dk",
    name: "nRF9160 DK",
    probe: JLINK,
    ports: [
      { role: "smp-and-log", wiredTo: "UART0 of the nRF9160, as the board controller routes it (VCOM0)" },
    ],
    recoveryByHand: BUTTON_1,
    slots: slots([0x10000, 0x70000], [0x80000, 0x70000]),
    chip: { "probe-rs": "nRF9160_xxAA", nrfutil: "Application", pyocd: "nrf91" },
    sources: {
      probe: JLINK_SOURCE,
      ports: "docs.zephyrproject.org 2.5.0: CONFIG_BOARD_NRF9160DK_UART0_VCOM routes it to VCOM0",
      recoveryByHand: zephyr(
        "249205b",
        "boards/nordic/nrf9160dk/nrf9160dk_nrf9160_common.dtsi, mcuboot-button0 = Push button 1",
      ),
      slots: zephyr("28cc3ce", "dts/vendor/nordic/nrf91xx_partition.dtsi"),
      chip: `${probeRs("043369c", "nRF91")}; ${NRF_TOOLS}`,
    },
  },
  {
    id: "nrf9151dk",
    name: "nRF9151 DK",
    probe: JLINK,
    ports: [
      { role: "smp-and-log", wiredTo: "UART0 of the nRF9151 (VCOM0)" },
      { role: "other", wiredTo: "UART1 of the nRF9151 (VCOM1)" },
    ],
    recoveryByHand: BUTTON_1,
    slots: slots([0x10000, 0x70000], [0x80000, 0x70000]),
    chip: { "probe-rs": "nRF9151_xxAA", nrfutil: "Application", pyocd: "nrf91" },
    sources: {
      probe: JLINK_SOURCE,
      ports: `docs.nordicsemi.com, nRF9151 SMA DK, board controller; ${zephyr("0fdf109", "boards/nordic/nrf9151dk/nrf9151dk_nrf9151_common.dtsi, uart-mcumgr = uart0")}`,
      recoveryByHand: zephyr(
        "0fdf109",
        "boards/nordic/nrf9151dk/nrf9151dk_nrf9151_common.dtsi, mcuboot-button0 = Push button 1",
      ),
      slots: zephyr("28cc3ce", "dts/vendor/nordic/nrf91xx_partition.dtsi"),
      chip: `${probeRs("043369c", "nRF91")}; ${NRF_TOOLS}`,
    },
  },
  {
    id: "nrf54l15dk",
    name: "nRF54L15 DK",
    probe: JLINK,
    ports: [
      { role: "other", wiredTo: "P0.00 to P0.03 (UART30)" },
      { role: "smp-and-log", wiredTo: "P1.04 to P1.07 (UART20)" },
    ],
    lines: NORDIC_DTR,
    recoveryByHand:
      "Hold Button 0 of the kit while you press and release its reset button, then let go (if MCUboot was built with CONFIG_BOOT_SERIAL_ENTRANCE_GPIO).",
    slots: slots([0x10000, 664 * 1024], [0xb6000, 664 * 1024]),
    chip: { "probe-rs": "nRF54L15", nrfutil: "Application", pyocd: "nrf54l" },
    sources: {
      probe: JLINK_SOURCE,
      ports: `docs.nordicsemi.com, nRF54L15 DK Hardware, Virtual serial ports; ${zephyr("0c29809", "boards/nordic/nrf54l15dk/nrf54l_05_10_15_cpuapp_common.dtsi, uart-mcumgr = uart20")}`,
      lines: NORDIC_DTR_SOURCE,
      recoveryByHand: zephyr(
        "0c29809",
        "boards/nordic/nrf54l15dk/nrf54l_05_10_15_cpuapp_common.dtsi, mcuboot-button0 = button0",
      ),
      slots: zephyr("00c2855", "dts/vendor/nordic/nrf54l15_cpuapp_partition.dtsi"),
      chip: `${probeRs("3595e5f", "nRF54L")}; ${NRF_TOOLS}`,
    },
  },
  {
    id: "thingy53",
    name: "Nordic Thingy:53",
    target: [{ vendorId: "1915", serialPrefix: "THINGY53_" }],
    recoveryByHand:
      "Switch the Thingy off (SW1), hold the button SW2 while you switch it on, then let go. Not the button on top: the bootloader does not watch that one.",
    // No slots: Zephyr's are not those of the bootloader that Nordic ships it with.
    sources: {
      recoveryByHand: `${zephyr("0de9657", "boards/nordic/thingy53/thingy53_nrf5340_common.dtsi, mcuboot-button0 = button1, Push button 2")}; devzone.nordicsemi.com, questions 115177 and 118508`,
      target:
        "docs.nordicsemi.com, nRF Util, Programming application firmware using MCUboot serial recovery: the serial number begins with THINGY53_",
    },
  },
  {
    id: "thingy91",
    name: "Nordic Thingy:91",
    target: [
      { vendorId: "1915", serialPrefix: "THINGY91_" },
      { vendorId: "1915", productId: "9100" },
    ],
    recoveryByHand:
      "Switch the Thingy off, hold the big black button SW3 while you switch it on, then let go: the LED stays dark.",
    sources: {
      target:
        "docs.nordicsemi.com, nRF Util, Programming application firmware using MCUboot serial recovery; lsusb: 1915:9100 with two ttyACM",
      recoveryByHand:
        "devzone.nordicsemi.com, questions 64057 and 99013; nrfconnect/sdk-nrf@0a14316: boards/nordic/thingy91/thingy91_nrf9160_common.dtsi, mcuboot-button0",
    },
  },
  {
    id: "nucleo",
    name: "ST Nucleo",
    probe: STLINK,
    target: ST_ROM_DFU,
    ports: ST_PORT,
    rom: { kind: "st", byHand: ST_ROM_BY_HAND, flashBase: 0x0800_0000 },
    sources: {
      probe: STLINK_SOURCE,
      target: ST_DFU_SOURCE,
      ports:
        "doc.riot-os.org, Nucleo-144: every Nucleo has its ST-LINK's virtual COM port, the USART behind it varies; Zephyr's files for them choose that one as console",
      rom: ST_ROM_SOURCE,
    },
  },
  {
    id: "nucleo-f429zi",
    name: "ST Nucleo-F429ZI",
    ports: ST_PORT,
    rom: { kind: "st", byHand: ST_ROM_BY_HAND, flashBase: 0x0800_0000 },
    slots: slots([0x0802_0000, 256 * 1024], [0x0806_0000, 256 * 1024]),
    chip: { "probe-rs": "STM32F429ZITx", pyocd: "stm32f429xi", openocd: "board/st_nucleo_f4.cfg" },
    sources: {
      ports: zephyr("03de8aa", "boards/st/nucleo_f429zi/nucleo_f429zi.dts, console = usart3"),
      rom: ST_ROM_SOURCE,
      slots: zephyr(
        "03de8aa",
        "boards/st/nucleo_f429zi/nucleo_f429zi.dts, partitions, on the flash at 0x0800 0000",
      ),
      chip: "the F4 Nucleos' file in OpenOCD 0.12.0; pyOCD 0.46.0, list --targets; embassy-rs examples, probe-rs --chip",
    },
  },
  {
    id: "discovery",
    name: "ST Discovery",
    probe: STLINK,
    target: ST_ROM_DFU,
    rom: {
      kind: "st",
      byHand:
        "Connect BOOT0 to VDD (on the STM32F407 Discovery both are pins of its headers; else see BOOT0 in the board's manual), then press reset.",
      flashBase: 0x0800_0000,
    },
    sources: {
      probe: STLINK_SOURCE,
      target: ST_DFU_SOURCE,
      rom: "gist.github.com/brandonros/cbefabcc: STM32F407G-DISC1, a jumper from BOOT0 to VDD brings 0483:df11; stm32flash 0.7, table of devices",
    },
  },
  {
    id: "stm32-uart",
    name: "STM32 behind a USB-serial adapter",
    probe: [
      ...["6001", "6010", "6011", "6014", "6015"].map((productId) => ({ vendorId: "0403", productId })),
      ...["ea60", "ea70", "ea71"].map((productId) => ({ vendorId: "10c4", productId })),
      ...["7523", "5523", "55d3", "55d4"].map((productId) => ({ vendorId: "1a86", productId })),
    ],
    lines: {
      reason:
        "Wiring varies: adapters may have DTR or RTS on NRST or BOOT0, so both stay off unless the config file says otherwise.",
      dtr: false,
      rts: false,
    },
    rom: {
      kind: "st",
      byHand: "Pull BOOT0 high, reset the chip, then connect its ROM UART (often USART1) to the adapter.",
      flashBase: 0x0800_0000,
    },
    sources: {
      probe:
        "usb.ids 2025.07.26: FTDI 0403, Silicon Labs 10c4, WCH 1a86:5523 and 7523; 55d3 and 55d4 from lsusb in public projects (CH343, CH9102)",
      lines: "stm32flash manual, option -i: DTR and RTS are wired as the maker of the adapter board pleased",
      rom: "AN2606 as quoted in stm32duino/Arduino_Core_STM32 discussion 2738; docslib.org 4937400, AN2606 Rev 50: AN3155 is the USART protocol",
    },
  },
];
