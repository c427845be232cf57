// SPDX-License-Identifier: Apache-2.0
// sigstore-js as a command. Its packages are found through NODE_PATH.
//
//   node peer.cjs sign artifact|statement FILE BUNDLE SIGNING_CONFIG TOKEN
//   node peer.cjs verify FILE|- BUNDLE TRUSTED_ROOT IDENTITY ISSUER    (- for a signed statement)
//   node peer.cjs verify-key FILE|- BUNDLE TRUSTED_ROOT PUBLIC_PEM     (a log only if the root has one)
//
// Exit status is the verdict.
"use strict";

const { createPublicKey } = require("node:crypto");
const { readFileSync, writeFileSync } = require("node:fs");
const { bundleFromJSON, bundleToJSON } = require("@sigstore/bundle");
const { SigningConfig, TrustedRoot } = require("@sigstore/protobuf-specs");
const { bundleBuilderFromSigningConfig } = require("@sigstore/sign");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");

const json = (path) => JSON.parse(readFileSync(path, "utf8"));

async function sign(kind, file, bundle, signingConfig, token) {
  const builder = bundleBuilderFromSigningConfig({
    signingConfig: SigningConfig.fromJSON(json(signingConfig)),
    identityProvider: { getToken: async () => token },
    bundleType: kind === "artifact" ? "messageSignature" : "dsseEnvelope",
  });
  const signed = await builder.create({
    data: readFileSync(file),
    type: kind === "artifact" ? undefined : "application/vnd.in-toto+json",
  });
  writeFileSync(bundle, JSON.stringify(bundleToJSON(signed)));
}

async function verify(file, bundle, trustedRoot, identity, issuer) {
  const thresholds = { tlogThreshold: 1, ctlogThreshold: 1, timestampThreshold: 1 };
  const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(json(trustedRoot))), thresholds);
  const artifact = file === "-" ? undefined : readFileSync(file);
  const exact = identity.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"); // a string would match a part
  verifier.verify(toSignedEntity(bundleFromJSON(json(bundle)), artifact), {
    subjectAlternativeName: new RegExp(`^${exact}$`),
    extensions: { issuer },
  });
}

async function verifyKey(file, bundle, trustedRoot, pem) {
  const root = TrustedRoot.fromJSON(json(trustedRoot));
  const publicKey = createPublicKey(readFileSync(pem));
  const material = toTrustMaterial(root, () => ({ publicKey, validFor: () => true }));
  const thresholds = { tlogThreshold: Math.min(1, root.tlogs.length), timestampThreshold: 1 };
  const artifact = file === "-" ? undefined : readFileSync(file);
  new Verifier(material, thresholds).verify(toSignedEntity(bundleFromJSON(json(bundle)), artifact));
}

const [command, ...rest] = process.argv.slice(2);
const run = { sign, verify, "verify-key": verifyKey }[command];
run(...rest).catch((error) => {
  console.error(`${error.name}: ${error.message}`, error.cause ?? "");
  process.exit(1);
});
