// Lets node load TypeScript: esbuild takes the types off, and checks none of them.
// A file is a CommonJS module, as ts-node and tsc have it by default, so that `import` and `require`
// both work. One that such a module cannot hold (`await` outside of functions, `import.meta`), and
// what it imports, are ECMAScript modules.
"use strict";

const { spawnSync } = require("node:child_process");
const { existsSync, statSync } = require("node:fs");
const { createRequire, isBuiltin, registerHooks } = require("node:module");
const path = require("node:path");
const { fileURLToPath, pathToFileURL } = require("node:url");

const INPUT = "/tmp/input";
const SOURCE = process.argv[1];

const TYPESCRIPT = /\.[cm]?tsx?$/;
const RELATIVE = /^\.{1,2}(\/|$)/;
const COMPILED = { ".js": [".ts", ".tsx"], ".mjs": [".mts"], ".cjs": [".cts"] };
const SUFFIXES = [".ts", ".tsx", ".mts", ".cts", ".js", ".mjs", ".cjs", ".json"];
const FORMATS = { commonjs: "cjs", module: "esm" };

function compile(file, format) {
  const tsconfig = path.join(INPUT, "tsconfig.json");
  const options = [
    path.basename(file),
    `--format=${FORMATS[format]}`,
    "--platform=node",
    "--target=node24",
    "--sourcemap=inline",
    "--log-level=error",
    "--log-override:empty-import-meta=error",
    "--color=false",
    ...(existsSync(tsconfig) ? [`--tsconfig=${tsconfig}`] : []),
  ];
  return spawnSync("/usr/local/bin/esbuild", options, {
    cwd: path.dirname(file),
    encoding: "utf8",
    maxBuffer: Infinity,
  });
}

function loaded(file, formats) {
  let result;
  for (const format of formats) {
    result = compile(file, format);
    if (result.status === 0) {
      if (format === "module") globalThis.require ??= createRequire(SOURCE);
      return { format, source: result.stdout, shortCircuit: true };
    }
  }
  if (result.error) throw result.error;
  process.stderr.write(result.stderr);
  process.exit(1);
}

function* names(file) {
  yield file;
  const { dir, name, ext } = path.parse(file);
  for (const suffix of COMPILED[ext] ?? []) yield path.join(dir, name + suffix);
  for (const suffix of SUFFIXES) yield file + suffix;
  for (const suffix of SUFFIXES) yield path.join(file, `index${suffix}`);
}

function isFile(file) {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

// The source does not lie among the input files, but its sender wrote it beside them.
function folders(specifier, parent) {
  if (!RELATIVE.test(specifier)) return [INPUT];
  const folder = path.dirname(parent);
  return parent === SOURCE ? [folder, INPUT] : [folder];
}

function found(specifier, parent) {
  const name = specifier.startsWith("file:") ? fileURLToPath(specifier) : specifier;
  for (const folder of folders(name, parent)) {
    for (const file of names(path.resolve(folder, name))) {
      if (isFile(file)) return file;
    }
  }
  return undefined;
}

registerHooks({
  resolve(specifier, context, next) {
    const imported = context.parentURL?.startsWith("file:") && !isBuiltin(specifier);
    const file = imported ? found(specifier, fileURLToPath(context.parentURL)) : undefined;
    if (file === undefined) return next(specifier, context);
    return { url: pathToFileURL(file).href, shortCircuit: true };
  },
  load(url, context, next) {
    if (!url.startsWith("file:") || !TYPESCRIPT.test(url)) return next(url, context);
    const imported = context.conditions.includes("import");
    return loaded(fileURLToPath(url), imported ? ["module"] : ["commonjs", "module"]);
  },
});

process.setSourceMapsEnabled(true);
