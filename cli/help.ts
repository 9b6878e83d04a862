console.log(`SOVR Mesh: a clearing house in a box.

  ./mesh up [--detach] [--fresh [--yes]] [--engine embedded|tigerbeetle] [--replicas 1|3|5|6] [--tls] [--sign-in]
                          starts everything on this machine, encrypted with --tls (docs/tls.md), with people and wallets who
                          sign in with --sign-in (docs/sign-in.md); Ctrl-C stops it
  ./mesh down             stops what up --detach started
  ./mesh status [--json]  every part with version, health and latency
  ./mesh demo             a wallet is funded and buys; shows what happens to forgeries and replays

  ./mesh wallet new [NAME] | show WALLET | list
                          development wallets; WALLET below is a name or an address
  ./mesh fund WALLET 20.00
                          puts play money into a wallet
  ./mesh buy milk|eggs|bread|bundle[=QUANTITY]… --wallet WALLET [--card visa|chargeDeclined|…]
                          buys from the balance, or by one of the simulator's test cards
  ./mesh refund ORDER milk|eggs|bread|bundle[=QUANTITY]… | --amount 1.50 [--merchant ID] [--id UUID]
                          gives back what items cost, or an amount, to the card or the balance
  ./mesh cancel ORDER [--merchant ID]
                          ends an order that nobody has paid
  ./mesh intent milk|eggs|bread|bundle|fund AMOUNT|transfer AMOUNT --wallet WALLET [--sign]
                          prints an intent as JSON, ready to be attested
  ./mesh propose fund AMOUNT --wallet WALLET | adjust AMOUNT --from ACCOUNT --to ACCOUNT --reference TEXT | FILE
                          puts an intent of the house before its approvers (docs/approvals.md); --withdraw INTENT_ID
                          takes it back
  ./mesh approve INTENT_ID --as APPROVER · ./mesh reject INTENT_ID --as APPROVER
                          decides with the key of approver-1, -2 or -3; what is approved is cleared
  ./mesh proposals [INTENT_ID | --state open|approved|rejected|withdrawn|expired] [--json]
                          what was proposed, and what became of it
  ./mesh call Service/Method JSON
                          one call through Envoy, with a token
  ./mesh tail [--since TIME|CURSOR|earliest] [--wallet WALLET]… [--json]
                          the event stream, as it happens
  ./mesh token [--role ROLE | --scope SCOPE…] [--wallet WALLET | --merchant ID] [--ttl SECONDS]
                          prints a token for grpcurl, curl and others
  ./mesh keys DATABASE_HOST:PORT [--hand-out FOLDER]
                          makes the keys for a mesh in containers (k8s/README.md)
  MIGRATION_DATABASE_URL_FILE=FILE ./mesh migrate SERVICE=URL_FILE…
                          brings tables up to date as their owner, and makes each service's login

  ./mesh audit [--checkpoint FILE] [--findings MAX] [--json]
                          holds transfers, evidence, orders and balances against each other, both ways
  ./mesh ledger adopt [--yes]
                          takes the ledger that is there for the one of the records; says what that gives up
  ./mesh ledger recover REPLICA
                          brings back a replica of this machine that has lost its data file, from the others
  ./mesh book list | show BOOK | check BOOK | new NAME
                          businesses as data, and whether one holds (docs/books.md)
  ./mesh chain deploy --rpc URL --chain-id N [--admin ADDRESS] [--minter ADDRESS] [--pauser ADDRESS] [--poscr] [--yes]
                          puts the tokens' contracts on a chain, each once (contracts/README.md)
  ./mesh bench [--engine embedded|tigerbeetle] [--only NAME]… [--seconds N] [--check] [--json FILE]
                          measures a mesh of its own, and the bare ledger beside it
  ./mesh test [SUITE]…    static checks and the suites unit, contract, integration, acceptance, faults, abuse, browser;
                          the first three alone: ./mesh test quick
  ./mesh test faults --minutes N [--seed S]
                          a random mix of all faults under clients whose every answer is judged
  ./mesh test soak --minutes N
                          steady load: memory, descriptors and latency of every process over time

Ports and everything else that can be set: .env.example. State lives in .mesh/, or where MESH_STATE says.`);
