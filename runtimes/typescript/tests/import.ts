import greet, { Greeting, Tone } from "./greet.js";

const { shout } = await import("./shout.ts");

const greeting: Greeting = { whom: "world", tone: Tone.Loud };
console.log(shout(greet(greeting)), import.meta.filename);
