// Verifies one bundle as often as each line of standard input says, parsing it every time, with the trusted root kept; answers "done".
//
// usage: NODE_PATH=…/node_modules node verify-often.cjs TRUSTED_ROOT BUNDLE IDENTITY ISSUER [ARTIFACT]
'use strict';

const { readFileSync } = require('node:fs');
const { createInterface } = require('node:readline');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { toSignedEntity, toTrustMaterial, Verifier } = require('@sigstore/verify');

const [trustedRoot, bundleFile, identity, issuer, artifactFile] = process.argv.slice(2);
const text = readFileSync(bundleFile, 'utf8');
const artifact = artifactFile ? readFileSync(artifactFile) : undefined;
const policy = { subjectAlternativeName: `^${identity.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`, extensions: { issuer } };
const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(readFileSync(trustedRoot, 'utf8')))));

createInterface({ input: process.stdin }).on('line', (line) => {
  for (let n = Number(line); n > 0; n--) {
    verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(text)), artifact), policy);
  }
  console.log('done');
});
