// Verifies the bundle of an image with @sigstore/verify, the way npm verifies the provenance of its packages.
//
// usage: NODE_PATH=…/node_modules node verify.cjs TRUSTED_ROOT BUNDLE IDENTITY ISSUER SHA256
//
// Prints whom it believes. A refusal is one line with the library's code, and exit code 1.
'use strict';

const { readFileSync } = require('node:fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { toSignedEntity, toTrustMaterial, Verifier } = require('@sigstore/verify');

const [trustedRoot, bundleFile, identity, issuer, digest] = process.argv.slice(2);
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
// The library takes the identity for a pattern.
const exactly = (text) => `^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;

try {
  const bundle = bundleFromJSON(read(bundleFile));
  const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(read(trustedRoot))));
  const signer = verifier.verify(toSignedEntity(bundle), { subjectAlternativeName: exactly(identity), extensions: { issuer } });
  // What is signed is the caller's to compare.
  const statement = JSON.parse(bundle.content.dsseEnvelope.payload);
  if (!statement.subject.some((subject) => subject.digest.sha256 === digest)) {
    throw Object.assign(new Error(`the statement is not about ${digest}`), { code: 'SUBJECT_ERROR' });
  }
  console.log(signer.identity.subjectAlternativeName);
} catch (error) {
  console.error(`${error.code ?? error.name}: ${error.message}`);
  process.exitCode = 1;
}
