let count = 0;
for await (const chunk of Deno.stdin.readable) {
  count += chunk.length;
}
console.log(`${count} bytes`);
