import type { Container, PodSpec, Probe, Workload } from "./manifests.ts";

/** What a pod lacks for the level "restricted" of Pod Security, and for what we ask beyond it. */
export function podProblems(workload: Workload): string[] {
  const { spec } = workload.spec.template;
  const context = spec.securityContext ?? {};
  const seccomp = context.seccompProfile;
  const problems = [
    ...(context.runAsNonRoot === true ? [] : ["runAsNonRoot is not true"]),
    ...((context.runAsUser ?? 0) > 0 ? [] : ["runAsUser is root or unknown"]),
    ...(spec.automountServiceAccountToken === false ? [] : ["it mounts a token"]),
    ...(spec.hostNetwork === true || spec.hostPID === true || spec.hostIPC === true
      ? ["it shares a namespace with the node"]
      : []),
    ...(seccomp?.type === "RuntimeDefault" || seccomp?.localhostProfile === "sovr/io-uring.json"
      ? []
      : [`seccomp is ${JSON.stringify(seccomp)}`]),
    ...volumeProblems(spec),
    ...[...(spec.initContainers ?? []), ...spec.containers].flatMap(containerProblems),
  ];
  return problems.map((problem) => `${workload.kind}/${workload.metadata.name}: ${problem}`);
}

/** The kinds of volume that "restricted" allows, as far as we use them. */
function volumeProblems(spec: PodSpec): string[] {
  const allowed = ["configMap", "secret", "emptyDir", "persistentVolumeClaim"];
  return (spec.volumes ?? [])
    .filter((volume) => !Object.keys(volume).some((key) => allowed.includes(key)))
    .map((volume) => `the volume ${volume.name} is of a kind that is not allowed`);
}

function containerProblems(container: Container): string[] {
  const { securityContext: context = {}, resources = {}, image } = container;
  const tag = /:([^:/]+)$/.exec(image)?.[1];
  const problems = [
    ...(context.allowPrivilegeEscalation === false ? [] : ["may gain privileges"]),
    ...(context.readOnlyRootFilesystem === true ? [] : ["can write to its image"]),
    ...(context.capabilities?.drop?.includes("ALL") === true ? [] : ["keeps capabilities"]),
    ...((context.capabilities?.add ?? []).length === 0 ? [] : ["adds capabilities"]),
    ...["cpu", "memory"].flatMap((what) => [
      ...(resources.requests?.[what] === undefined ? [`requests no ${what}`] : []),
      ...(resources.limits?.[what] === undefined ? [`has no limit of ${what}`] : []),
    ]),
    ...(tag === undefined || tag === "latest" ? [`the image ${image} has no version`] : []),
    ...probesOf(container).flatMap((probe) => probeProblems(probe, container)),
  ];
  return problems.map((problem) => `${container.name} ${problem}`);
}

export function probesOf(container: Container): readonly Probe[] {
  const { startupProbe, livenessProbe, readinessProbe } = container;
  return [startupProbe, livenessProbe, readinessProbe].filter((probe) => probe !== undefined);
}

function probeProblems(probe: Probe, container: Container): string[] {
  const port = (probe.httpGet ?? probe.tcpSocket)?.port;
  if (port === undefined) return probe.exec === undefined ? ["has a probe that does nothing"] : [];
  const known = (container.ports ?? []).some(
    ({ name, containerPort }) => name === port || containerPort === port,
  );
  return known ? [] : [`is probed at the port ${port}, which it does not have`];
}
