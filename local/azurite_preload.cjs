// Has Azurite start without parts that it does not use here: `local.azurite` has Node load this first.
//
// It loads a client of SQL databases and one of Application Insights, whatever its options are: almost
// half of the processor time of its start, and a quarter of its memory. A stack's blobs are described
// in files, and nothing is reported to anybody. `local.azurite_setup` does not even install the packages
// that these parts need. Were such a part used after all, Azurite would end with a TypeError.
"use strict";
const Module = require("node:module");

const UNUSED = new Set(["applicationinsights", "./SqlBlobConfiguration", "./SqlBlobServer"]);
const load = Module._load;

Module._load = function (request, ...rest) {
  return UNUSED.has(request) ? {} : load.call(this, request, ...rest);
};
