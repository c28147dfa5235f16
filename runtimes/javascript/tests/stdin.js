const fs = require("fs");

console.log(`${fs.readFileSync(0).length} bytes`);
