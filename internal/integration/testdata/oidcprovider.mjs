// The OpenID provider of the tests: oidc-provider on a free loopback port, which it prints.
//
// What its operator would do comes over POST: /operator/rotate adds new signing keys, which
// sign from now on, and keeps those before; /operator/retire drops all but the newest.
//
// TTS_JWKS is the JWK Set of the client tts-key, which authenticates by private_key_jwt.
import http from 'node:http';
import crypto from 'node:crypto';
import Provider from 'oidc-provider';

const newKeys = () => [
  ['ES256', crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ['RS256', crypto.generateKeyPairSync('rsa', { modulusLength: 2048 })],
].map(([alg, { privateKey }]) => ({
  ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `${alg}-${crypto.randomUUID()}`,
}));

const client = (id, more) => ({
  client_id: id,
  client_secret: `${id}-secret`,
  grant_types: [],
  redirect_uris: [],
  response_types: [],
  ...more,
});
const forUsers = {
  grant_types: ['authorization_code'],
  redirect_uris: ['http://127.0.0.1/callback'],
  response_types: ['code'],
  id_token_signed_response_alg: 'ES256',
};

const build = (issuer, keys) => new Provider(issuer, {
  jwks: { keys },
  cookies: { keys: ['of a test'] },
  clients: [
    client('shop-web', forUsers),
    client('shop-phone', forUsers), // gets opaque access tokens
    client('billing', { grant_types: ['client_credentials'] }),
    client('tts'),
    client('tts-key', {
      client_secret: undefined,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: JSON.parse(process.env.TTS_JWKS),
    }),
  ],
  pkce: { required: () => true },
  findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  features: {
    devInteractions: { enabled: true }, // a login page that takes any password
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (ctx, { clientId }) => clientId.startsWith('tts') },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'https://api.shop.test',
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource, { clientId }) => ({
        audience: resource,
        scope: 'orders:read orders:write',
        accessTokenFormat: clientId === 'shop-phone' ? 'opaque' : 'jwt',
        jwt: { sign: { alg: clientId === 'billing' ? 'RS256' : 'ES256' } },
      }),
    },
  },
  ttl: { AccessToken: 300, ClientCredentials: 300, IdToken: 300, Interaction: 300, Session: 300, Grant: 300 },
});

let keys = newKeys();
let answer;
const server = http.createServer((request, response) => {
  if (request.method !== 'POST' || !request.url.startsWith('/operator/')) {
    answer(request, response);
    return;
  }
  if (request.url === '/operator/rotate') keys = [...newKeys(), ...keys];
  else keys = keys.slice(0, 2);
  answer = build(issuer(), keys).callback();
  response.end();
});
const issuer = () => `http://127.0.0.1:${server.address().port}`;

server.listen(0, '127.0.0.1', () => {
  answer = build(issuer(), keys).callback();
  console.log(JSON.stringify({ address: issuer() }));
});
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
