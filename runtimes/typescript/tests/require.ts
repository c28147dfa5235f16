import assert = require("assert");
import greet, { type Greeting, Tone } from "./greet";
import data from "./data.json";

const { shout } = require("shout");

const greeting: Greeting = { whom: data.whom, tone: Tone.Loud };
assert(require.main === module);
console.log(shout(greet(greeting)));
