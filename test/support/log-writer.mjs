// Appends events to an audit log one by one and says each name once it is logged: node log-writer.mjs FOLDER NAME COUNT
import { AuditLog } from "../../dist/entries/trust.js";

const [folder, name, count] = process.argv.slice(2);
const log = new AuditLog({ folder, entriesPerLog: 40 });
for (let at = 0; at < Number(count); at++) {
  const detail = { name: `${name}-${at}` };
  await log.append([{ type: "command", job: name, tool: "test 1", detail }]);
  process.stdout.write(`${detail.name}\n`);
}
