/** The first version of a new book, which passes `check`. `name`: as Book.name. */
export function skeleton(name: string, schemaPath: string): string {
  return `# yaml-language-server: $schema=${schemaPath}
# A business as data. docs/books.md goes through it; ./mesh book check says what is wrong, and where.
# Numbers (ledger, code, id) stand in the ledger's rows: what one means is for ever.
name: ${name}
title: ${name}
number: 1
activeFrom: 2020-01-01T00:00:00Z

# What is counted. The scale is how many decimals the smallest piece has: 2 for cents.
assets:
  - { ledger: 1, code: USD, name: US dollar, scale: 2, kind: ASSET_KIND_FIAT, symbol: $ }

# Kinds of accounts. Class 20 is that of wallets: each has an account of its own, which never owes more than it holds.
classes:
  - { code: 11, name: CASH, type: ACCOUNT_TYPE_ASSET }
  - { code: 20, name: WALLET, type: ACCOUNT_TYPE_LIABILITY, neverOverdrawn: true, perWallet: true }
  - { code: 40, name: PAYABLE, type: ACCOUNT_TYPE_LIABILITY, neverOverdrawn: true }

# The accounts of the house. Wallets' accounts are not listed.
accounts:
  - { id: 1000002, name: BANK, class: CASH, assets: [USD] }
  - { id: 4000001, name: SALES, class: PAYABLE, assets: [USD] }

# What may move from where to where, and by whose word: the wallet's own signature, or the house.
rules:
  - code: 1
    name: FUNDING
    says: FUNDING runs from CASH to WALLET
    authority: AUTHORITY_HOUSE
    ways:
      - { debit: { classes: [CASH] }, credit: { classes: [WALLET] } }
  - code: 2
    name: PURCHASE
    says: PURCHASE runs from WALLET to PAYABLE
    authority: AUTHORITY_WALLET
    ways:
      - { debit: { classes: [WALLET] }, credit: { classes: [PAYABLE] }, coveredBy: [FUNDING] }

# What is sold. Another price is another SKU.
products:
  - sku: SOMETHING
    name: Something
    asset: USD
    goods: [{ name: SOMETHING, account: SALES, amount: "1.00" }]

# Which rules and accounts the services use by themselves.
roles:
  - { role: ROLE_NAME_FUNDING, is: FUNDING }
  - { role: ROLE_NAME_PURCHASE, is: PURCHASE }
  - { role: ROLE_NAME_CASH_ACCOUNT, is: BANK }
`;
}
