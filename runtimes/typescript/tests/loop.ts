import { writeSync } from "fs";

writeSync(1, "started\n");
for (;;) {}
