// An OpenID provider (the certified `oidc-provider`) at Entra's addresses, with Entra's claims.
// Arguments: the folder of its packages, a key and its certificate (PEM), a tenant, a client's id and
// secret, and the client's origin. Prints {"host": ...} when it answers.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { pathToFileURL } from "node:url";

const [modules, key, certificate, tenant, client, secret, origin] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));

const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) });
await new Promise((done) => server.listen(0, "localhost", done));
const host = `https://localhost:${server.address().port}`;
const mount = `/${tenant}/v2.0`;

// A name says who is of another tenant, an operator, or gets tokens for a minute.
const account = (sub) => ({
  accountId: sub,
  claims: () => ({
    sub,
    oid: sub,
    tid: sub === "stranger" ? "another-tenant" : tenant,
    name: `${sub[0].toUpperCase()}${sub.slice(1)}`,
    roles: sub === "boss" ? ["Operator"] : [],
  }),
});

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const provider = new Provider(`${host}${mount}`, {
  clients: [
    {
      client_id: client,
      client_secret: secret,
      token_endpoint_auth_method: "client_secret_post",
      redirect_uris: [`${origin}/signed-in`],
      post_logout_redirect_uris: [`${origin}/signed-out`],
    },
  ],
  claims: { openid: ["sub", "oid", "tid", "roles"], profile: ["name"] },
  // Entra puts them into the identity token, where this provider would keep them for userinfo.
  conformIdTokenClaims: false,
  cookies: { keys: ["a key of tests"] },
  findAccount: (_, sub) => account(sub),
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256" }] },
  pkce: { required: () => true },
  ttl: { IdToken: (context) => (context.oidc.account?.accountId === "late" ? 60 : 3600) },
});
const answer = provider.callback();
server.on("request", (request, response) => {
  request.originalUrl = request.url = request.url.replace(`/${tenant}/oauth2/v2.0/logout`, `${mount}/session/end`);
  request.url = request.url.startsWith(mount) ? request.url.slice(mount.length) || "/" : request.url;
  answer(request, response);
});
console.log(JSON.stringify({ host }));
