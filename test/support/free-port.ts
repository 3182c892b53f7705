export { freePort } from "../../hil/boards/free-port.js";
