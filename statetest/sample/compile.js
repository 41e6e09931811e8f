// Compiles contracts/*.sol with the solc that package.json pins.
//
// in   the sources beside this file
// out  bytecode.json: for each contract its creation code and the selectors of its functions; standard error names what solc
//      finds wrong
//
// The bytecode holds no metadata, so that it depends on the code alone.
"use strict";
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const folder = path.join(__dirname, "contracts");
const sources = {};
for (const name of fs.readdirSync(folder).sort()) {
  sources[name] = { content: fs.readFileSync(path.join(folder, name), "utf8") };
}
const input = {
  language: "Solidity",
  sources,
  settings: {
    evmVersion: "cancun",
    optimizer: { enabled: true, runs: 200 },
    metadata: { appendCBOR: false, bytecodeHash: "none" },
    outputSelection: { "*": { "*": ["evm.bytecode.object", "evm.methodIdentifiers"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
for (const problem of output.errors || []) {
  console.error(problem.formattedMessage);
}
if (!output.contracts || (output.errors || []).length > 0) {
  process.exit(1);
}
const compiled = { compiler: solc.version(), settings: input.settings, contracts: {} };
for (const [file, contracts] of Object.entries(output.contracts)) {
  for (const [name, contract] of Object.entries(contracts)) {
    const code = contract.evm.bytecode.object;
    if (code !== "") {
      compiled.contracts[name] = { source: file, creation_code: "0x" + code, selectors: contract.evm.methodIdentifiers };
    }
  }
}
fs.writeFileSync(path.join(__dirname, "bytecode.json"), JSON.stringify(compiled, null, 2) + "\n");
