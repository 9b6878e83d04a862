import { trustDomainDefault } from "#common/process/tls/config.ts";
import type { PartName } from "#common/process/tls/parts.ts";
import type { Settings } from "../state/settings.ts";
import { tlsFolder } from "./tls-files.ts";

/** What a part of a mesh on this machine is told of TLS. Nothing of it comes from the user's environment; empty is absent. */
export function tlsEnvironment(settings: Settings, name: PartName): NodeJS.ProcessEnv {
  return {
    TLS_FOLDER: settings.tls ? tlsFolder(settings, name) : "",
    TLS_TRUST_DOMAIN: trustDomainDefault,
    ALLOW_PLAINTEXT: "",
  };
}
