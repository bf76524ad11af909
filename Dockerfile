# syntax=docker/dockerfile:1
# The hub in a container: the bundle and Node, nothing else. No dev dependencies and no embedded store come along.

FROM node:24-slim AS build
WORKDIR /hub
COPY package.json package-lock.json ./
# With the optional packages: esbuild's binary is one. None of them gets into the image below.
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY entities entities
COPY src src
COPY scripts scripts
RUN npm run --silent build

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /hub
# What local mode keeps: a volume that is mounted here is the user's as well.
RUN install -d -o node -g node -m 700 /data
COPY --from=build /hub/dist dist
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/health`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# A container listens on all addresses unless HOST names one; an empty HOST, as in .env.example, names none.
CMD ["/bin/sh", "-c", "HOST=\"${HOST:-0.0.0.0}\" exec node --enable-source-maps dist/server.mjs"]
