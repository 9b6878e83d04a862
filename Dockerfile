# One image for every service, which its argument chooses: docker run sovr-mesh services/clearing/main.ts
# There is nothing to build: Node strips the types of the .ts files as it loads them.
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
COPY services ./services
# For Envoy's configuration, and for operators: audit, token, tail.
COPY envoy ./envoy
COPY scripts ./scripts
USER 1000:1000
EXPOSE 5100 5200 5300
ENTRYPOINT ["node"]
CMD ["scripts/help.ts"]
