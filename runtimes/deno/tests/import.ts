import { greet } from "./greeting.ts";
import data from "./data.json" with { type: "json" };

enum Tone { Quiet, Loud }

const wrong: number = "a type error";
console.log(greet(data.whom), Tone[Tone.Loud], wrong, import.meta.main);
