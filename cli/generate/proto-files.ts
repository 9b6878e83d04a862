import { execFileSync } from "node:child_process";
import { join } from "node:path";
import {
  createFileRegistry,
  type DescEnum,
  type DescEnumValue,
  type DescFile,
  fromBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** Our files of proto/ with their comments, by name. `root`: of the repository. */
export function readProtoFiles(root: string): DescFile[] {
  const buf = join(root, "node_modules/.bin/buf");
  const image = execFileSync(buf, ["build", "proto", "--as-file-descriptor-set", "-o", "-"], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  return [...registry.files]
    .filter((file) => file.proto.package.startsWith("sovr."))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** An enum by its name. Throws if no file declares it. */
export function enumOf(files: readonly DescFile[], name: string): DescEnum {
  const found = files.flatMap((file) => file.enums).find((item) => item.name === name);
  if (found === undefined) throw new Error(`proto/ declares no ${name}`);
  return found;
}

/** The reasons that an error can have. */
export function reasonsOf(files: readonly DescFile[]): DescEnumValue[] {
  return enumOf(files, "ErrorReason").values.filter(({ number }) => number !== 0);
}
