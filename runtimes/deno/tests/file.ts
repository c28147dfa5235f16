const text: string = await Deno.readTextFile("data.txt");

await Deno.stdout.write(new TextEncoder().encode(text));
