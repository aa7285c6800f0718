// Serves one of the peers the way its own server does: the raw body and the signature
// go to processWebhook, and the answer follows its promise. Settings come from the
// environment.
import http from 'node:http'
import { createRequire } from 'node:module'

const { PEER, PEER_PORT, PEER_DATABASE_URL, PEER_SECRET, PEER_ACCOUNT, PEER_SPEC, PEER_CONNECTIONS } = process.env
const poolConfig = { connectionString: PEER_DATABASE_URL, max: Number(PEER_CONNECTIONS), keepAlive: true }
const peer = createRequire(import.meta.url)(PEER)
const logger = { info() {}, debug() {}, warn() {}, error: console.error }

async function open() {
  if (PEER === '@stripe/sync-engine') {
    await peer.runMigrations({ databaseUrl: PEER_DATABASE_URL, schemaName: 'stripe', stripeApiVersion: '2023-10-16', openApiSpecPath: PEER_SPEC })
    const sync = await peer.StripeSync.create({
      poolConfig, stripeSecretKey: 'sk_live_webhookload', stripeAccountId: PEER_ACCOUNT, stripeWebhookSecret: PEER_SECRET,
      stripeApiVersion: '2023-10-16', schemaName: 'stripe', autoExpandLists: false, backfillRelatedEntities: false,
    })
    return (raw, signature) => sync.webhook.processWebhook(raw, signature)
  }
  await peer.runMigrations({ databaseUrl: PEER_DATABASE_URL, schema: 'stripe', logger })
  const sync = new peer.StripeSync({
    poolConfig, stripeSecretKey: 'sk_live_webhookload', stripeWebhookSecret: PEER_SECRET, stripeApiVersion: '2023-10-16',
    schema: 'stripe', autoExpandLists: false, backfillRelatedEntities: false,
  })
  return (raw, signature) => sync.processWebhook(raw, signature)
}

const take = await open()
let told = false
const server = http.createServer((req, res) => {
  const parts = []
  req.on('data', (part) => parts.push(part))
  req.on('end', async () => {
    if (req.method !== 'POST') return res.writeHead(204).end()
    try {
      await take(Buffer.concat(parts), req.headers['stripe-signature'])
      res.writeHead(200, { 'Content-Length': 0 }).end()
    } catch (err) {
      if (!told) console.error(err) // the first one says enough
      told = true
      res.writeHead(400, { 'Content-Length': 0 }).end()
    }
  })
})
server.keepAliveTimeout = 60000
server.listen(Number(PEER_PORT), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
