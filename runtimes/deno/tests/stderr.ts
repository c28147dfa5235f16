console.log("to stdout");
console.error("to stderr");
Deno.exit(3);
