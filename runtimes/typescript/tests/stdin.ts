import { readFileSync } from "fs";

console.log(`${readFileSync(0).length} bytes`);
