// Changes three things about Azurite: `local.azurite` has Node load this first.
//
// It starts without parts that it does not use here. It loads a client of SQL databases and one of
// Application Insights, whatever its options are: almost half of the processor time of its start, and a
// quarter of its memory. A stack's blobs are described in files, and nothing is reported to anybody.
// `local.azurite_setup` does not even install the packages that these parts need. Were such a part used
// after all, Azurite would end with a TypeError.
//
// It begins a file for each write. Otherwise it appends what is written to files of up to 64 MiB, and a
// file is deleted only once nothing in it is needed: a small record would keep a video's chunks on the
// disk for ever.
//
// It says which containers it writes to, if it is given a pipe: see `local.write_reports`.
"use strict";
const { writeSync } = require("node:fs");
const { subscribe } = require("node:diagnostics_channel");
const Module = require("node:module");

const UNUSED = new Set(["applicationinsights", "./SqlBlobConfiguration", "./SqlBlobServer"]);
const load = Module._load;

Module._load = function (request, ...rest) {
  if (UNUSED.has(request)) return {};
  const loaded = load.call(this, request, ...rest);
  // Its constants, which the stores of blobs read when they are loaded.
  if (loaded?.DEFAULT_MAX_EXTENT_SIZE) loaded.DEFAULT_MAX_EXTENT_SIZE = 1;
  return loaded;
};

const pipe = Number(process.env.STYLESTREAM_WRITE_REPORTS);
if (pipe) {
  subscribe("http.server.response.finish", ({ request, response }) => {
    if (request.method !== "PUT" || response.statusCode >= 300) return;
    const [, , container] = request.url.split(/[/?]/, 3); // the account's name comes first
    try {
      writeSync(pipe, `${container}\n`);
    } catch {
      // Nobody reads what is in the pipe, or it is closed.
    }
  });
}
