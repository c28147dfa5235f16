import { readFileSync } from "fs";

const text: string = readFileSync("data.txt", "utf8");
process.stdout.write(text);
