import greet, { Greeting, Tone } from "./greet.js";

const { shout } = await import("./shout.ts");
const { basename } = require("path");

const greeting: Greeting = { whom: "world", tone: Tone.Loud };
console.log(shout(greet(greeting)), basename(import.meta.filename));
