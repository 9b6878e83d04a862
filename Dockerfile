# One image for every service, which its argument chooses: docker run sovr-mesh services/clearing/main.ts
# Of the services there is nothing to build: Node strips the types of the .ts files as it loads them. Studio's app is
# built, with the packages of development, of which only its files stay.
FROM node:24.21.0-bookworm-slim AS studio
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY gen ./gen
COPY common ./common
COPY services ./services
COPY cli ./cli
RUN node cli/bring/build-studio.ts

FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json ./
COPY gen ./gen
COPY common ./common
COPY books ./books
COPY engine ./engine
COPY services ./services
COPY --from=studio /app/services/studio/dist ./services/studio/dist
# For Envoy's configuration, and for operators: audit, token, tail.
COPY envoy ./envoy
COPY contracts ./contracts
COPY cli ./cli
USER 1000:1000
EXPOSE 5100 5200 5300
ENTRYPOINT ["node"]
CMD ["cli/help.ts"]
