// Reads files with speedscope's own importer and prints, for each profile in them, its name, unit and weight, and the weight of each frame.
//
//   node speedscope.cjs BUNDLE FILE…
//
// The bundle is the released page's script, unchanged but for one line that gives the importer out: it runs here without a page, so the code
// that draws fails, but only after the importer is there.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const [bundle, ...files] = process.argv.slice(2);
const script = fs.readFileSync(bundle, "utf8");
const importer = /var (\w+)=Promise\.resolve\(\)\.then\(\(\)=>\(\w+\(\),\w+\)\);\1\.then/;
if (!importer.test(script)) throw new Error(`${bundle} has no importer where release 1.25 has it`);

const page = new Proxy(function () {}, { get: (_, name) => (name === Symbol.toPrimitive ? () => "" : page), apply: () => page, construct: () => page });
const world = { document: page, navigator: page, location: page, TextDecoder, TextEncoder, URL, URLSearchParams, Uint8Array, ArrayBuffer, console: { log() {}, warn: console.error, error: console.error } };
world.self = world.window = world;
vm.createContext(world);
try {
    vm.runInContext(script.replace(importer, (text, name) => text.replace(`;${name}.then`, `;globalThis.importer=${name};${name}.then`)), world);
} catch (error) {
    if (!world.importer) throw error;
}
(async () => {
    const { importProfilesFromArrayBuffer } = await world.importer;
    const read = [];
    for (const file of files) {
        const bytes = fs.readFileSync(file);
        const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
        const group = await importProfilesFromArrayBuffer(path.basename(file), buffer);
        if (!group) throw new Error(`${file}: no importer takes it`);
        for (const profile of group.profiles) {
            const frames = {};
            profile.forEachFrame((frame) => (frames[frame.name] = frame.getTotalWeight()));
            read.push({ file: path.basename(file), name: profile.getName(), unit: profile.getWeightUnit(), weight: profile.getTotalWeight(), frames });
        }
    }
    console.log(JSON.stringify(read, null, 1));
})().catch((error) => {
    console.error(error);
    process.exit(1);
});
