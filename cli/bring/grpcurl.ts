import { goInstall } from "./go-install.ts";

const version = "v1.9.4";

/** Brings grpcurl, unless it is there. Returns why it could not, if so. */
export function bringGrpcurl(bin: string): Promise<string | undefined> {
  const pinned = `github.com/fullstorydev/grpcurl/cmd/grpcurl@${version}`;
  return goInstall({ name: "grpcurl", pinned, bin });
}
