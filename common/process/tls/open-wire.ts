import type { Logger } from "../logger.ts";
import { type Certificates, openCertificates } from "./certificates.ts";
import type { Wire } from "./config.ts";
import type { PartName } from "./parts.ts";

/**
 * Opens the certificates of a part, if it has any, and otherwise says at every start what it tells whoever listens. Throws
 * ConfigError for certificates that are no good.
 */
export function openWire(wire: Wire, name: PartName, logger: Logger): Certificates | undefined {
  if (wire.plaintext.length > 0) {
    logger.warn(
      { plaintext: wire.plaintext },
      "ALLOW_PLAINTEXT: this goes beyond this machine unencrypted, and whoever reaches it may call it",
    );
  }
  return wire.tls && openCertificates({ config: wire.tls, name, logger });
}
