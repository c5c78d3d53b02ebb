/**
 * The part of the Kubernetes API (1.29) that our manifests may use, strictly: a word that is not in
 * here is a typo or deserves a line. Names and types are those of the API's own OpenAPI document.
 * What is required here is more than the API asks for: it is what a pod of ours must say.
 */
type Schema = Readonly<Record<string, unknown>>

const closed = (properties: Readonly<Record<string, Schema>>, ...required: string[]): Schema => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
})
const list = (items: Schema): Schema => ({ type: 'array', minItems: 1, items })

const dnsLabel = { type: 'string', pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$' }
/** Of a port: at most 15 characters, and a letter among them. */
const portName = {
  type: 'string',
  maxLength: 15,
  pattern: '^(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$',
}
const portNumber = { type: 'integer', minimum: 1, maximum: 65_535 }
const port = { anyOf: [portNumber, portName] }
const positive = { type: 'integer', minimum: 1 }
const natural = { type: 'integer', minimum: 0 }
const path = { type: 'string', pattern: '^/[^:]*$' }
const text = { type: 'string', minLength: 1 }
const labels = {
  type: 'object',
  propertyNames: { pattern: '^([a-z0-9.-]+/)?[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' },
  additionalProperties: { type: 'string', pattern: '^([A-Za-z0-9][A-Za-z0-9._-]{0,62})?$' },
}
const selector = closed({ matchLabels: labels }, 'matchLabels')
/** Empty: everything. */
const anySelector = closed({ matchLabels: labels })
const metadata = closed({ name: dnsLabel, namespace: dnsLabel, labels }, 'name')
const memory = { type: 'string', pattern: '^[1-9]\\d*(Ki|Mi|Gi)$' }
const cpu = { type: 'string', pattern: '^[1-9]\\d*m?$' }

const probe = closed(
  {
    httpGet: closed({ path, port: portName }, 'path', 'port'),
    initialDelaySeconds: natural,
    periodSeconds: positive,
    timeoutSeconds: positive,
    successThreshold: positive,
    failureThreshold: positive,
  },
  'httpGet',
  'periodSeconds',
  'timeoutSeconds',
  'failureThreshold',
)

const variableName = { type: 'string', pattern: '^[A-Z][A-Z0-9_]*$' }
const variable = {
  // A value that is no string is refused by the API: YAML makes numbers and booleans of bare words.
  oneOf: [
    closed({ name: variableName, value: { type: 'string' } }, 'name', 'value'),
    closed(
      {
        name: variableName,
        valueFrom: closed(
          { secretKeyRef: closed({ name: dnsLabel, key: text }, 'name', 'key') },
          'secretKeyRef',
        ),
      },
      'name',
      'valueFrom',
    ),
  ],
}

const container = closed(
  {
    name: dnsLabel,
    // A tag, and not the one that moves.
    image: { type: 'string', pattern: '^[a-z0-9./-]+:(?!latest$)[\\w.-]+$' },
    restartPolicy: { const: 'Always' },
    command: list(text),
    args: list({ type: 'string' }),
    env: list(variable),
    ports: list(
      closed(
        { name: portName, containerPort: portNumber, protocol: { enum: ['TCP', 'UDP'] } },
        'name',
        'containerPort',
      ),
    ),
    startupProbe: probe,
    livenessProbe: probe,
    readinessProbe: probe,
    lifecycle: closed(
      { preStop: closed({ exec: closed({ command: list(text) }, 'command') }, 'exec') },
      'preStop',
    ),
    resources: closed(
      {
        requests: closed({ cpu, memory }, 'cpu', 'memory'),
        limits: closed({ cpu, memory }, 'memory'),
      },
      'requests',
      'limits',
    ),
    securityContext: closed(
      {
        // A number: the kubelet cannot tell that a user of a name is not root.
        runAsUser: positive,
        runAsGroup: positive,
        allowPrivilegeEscalation: { const: false },
        readOnlyRootFilesystem: { const: true },
        capabilities: closed({ drop: { const: ['ALL'] } }, 'drop'),
      },
      'runAsUser',
      'allowPrivilegeEscalation',
      'readOnlyRootFilesystem',
      'capabilities',
    ),
    volumeMounts: list(
      // No `subPath`: what it mounts never changes again.
      closed(
        { name: dnsLabel, mountPath: path, readOnly: { type: 'boolean' } },
        'name',
        'mountPath',
      ),
    ),
  },
  'name',
  'image',
  'resources',
  'securityContext',
)

const volume = {
  oneOf: [
    closed({ name: dnsLabel, configMap: closed({ name: dnsLabel }, 'name') }, 'name', 'configMap'),
    closed(
      { name: dnsLabel, emptyDir: closed({ sizeLimit: memory }, 'sizeLimit') },
      'name',
      'emptyDir',
    ),
    closed(
      { name: dnsLabel, persistentVolumeClaim: closed({ claimName: dnsLabel }, 'claimName') },
      'name',
      'persistentVolumeClaim',
    ),
  ],
}

/** One may change the flags by the API; no other pod has a token. */
const ROLLOUT = 'switchback-rollout'
const tokenOnlyForRollout = {
  oneOf: [[{ const: ROLLOUT }, true] as const, [{ not: { const: ROLLOUT } }, false] as const].map(
    ([serviceAccountName, token]) => ({
      properties: { serviceAccountName, automountServiceAccountToken: { const: token } },
    }),
  ),
}

const podSpecFields = closed(
  {
    serviceAccountName: dnsLabel,
    automountServiceAccountToken: { type: 'boolean' },
    enableServiceLinks: { const: false },
    terminationGracePeriodSeconds: positive,
    securityContext: closed(
      {
        runAsNonRoot: { const: true },
        fsGroup: positive,
        seccompProfile: closed({ type: { const: 'RuntimeDefault' } }, 'type'),
      },
      'runAsNonRoot',
      'seccompProfile',
    ),
    topologySpreadConstraints: list(
      closed(
        {
          maxSkew: positive,
          topologyKey: text,
          whenUnsatisfiable: { enum: ['ScheduleAnyway', 'DoNotSchedule'] },
          labelSelector: selector,
        },
        'maxSkew',
        'topologyKey',
        'whenUnsatisfiable',
        'labelSelector',
      ),
    ),
    initContainers: list(container),
    containers: list(container),
    volumes: list(volume),
  },
  'serviceAccountName',
  'automountServiceAccountToken',
  'enableServiceLinks',
  'securityContext',
  'containers',
)

const podSpec: Schema = { ...podSpecFields, ...tokenOnlyForRollout }

const peer = closed({ namespaceSelector: anySelector, podSelector: anySelector })
const policyPorts = list(closed({ protocol: { enum: ['TCP', 'UDP'] }, port }, 'protocol', 'port'))

/** By kind: where it belongs, and what else it holds. */
const kinds: Readonly<Record<string, readonly [apiVersion: string, Schema]>> = {
  Namespace: ['v1', {}],
  ConfigMap: ['v1', { data: { type: 'object', additionalProperties: { type: 'string' } } }],
  ServiceAccount: ['v1', { automountServiceAccountToken: { const: false } }],
  Role: [
    'rbac.authorization.k8s.io/v1',
    {
      rules: list(
        closed(
          {
            apiGroups: list({ enum: ['', 'core.openfeature.dev', 'coordination.k8s.io'] }),
            resources: list({ enum: ['configmaps', 'featureflags', 'leases'] }),
            // Without names it would be a right to all of them.
            resourceNames: list(dnsLabel),
            verbs: { const: ['get', 'update'] },
          },
          'apiGroups',
          'resources',
          'resourceNames',
          'verbs',
        ),
      ),
    },
  ],
  Lease: ['coordination.k8s.io/v1', {}],
  RoleBinding: [
    'rbac.authorization.k8s.io/v1',
    {
      roleRef: closed(
        {
          apiGroup: { const: 'rbac.authorization.k8s.io' },
          kind: { const: 'Role' },
          name: dnsLabel,
        },
        'apiGroup',
        'kind',
        'name',
      ),
      subjects: list(closed({ kind: { const: 'ServiceAccount' }, name: dnsLabel }, 'kind', 'name')),
    },
  ],
  PersistentVolumeClaim: [
    'v1',
    {
      spec: closed(
        {
          accessModes: list({ enum: ['ReadWriteOnce', 'ReadWriteMany', 'ReadWriteOncePod'] }),
          resources: closed({ requests: closed({ storage: memory }, 'storage') }, 'requests'),
        },
        'accessModes',
        'resources',
      ),
    },
  ],
  Service: [
    'v1',
    {
      spec: closed(
        {
          clusterIP: { const: 'None' },
          publishNotReadyAddresses: { type: 'boolean' },
          selector: labels,
          ports: list(
            closed({ name: portName, port: portNumber, targetPort: port }, 'name', 'port'),
          ),
        },
        'selector',
        'ports',
      ),
    },
  ],
  Deployment: [
    'apps/v1',
    {
      spec: closed(
        {
          replicas: positive,
          revisionHistoryLimit: natural,
          minReadySeconds: natural,
          selector,
          strategy: {
            oneOf: [
              closed(
                {
                  type: { const: 'RollingUpdate' },
                  rollingUpdate: closed({ maxSurge: natural, maxUnavailable: natural }),
                },
                'type',
              ),
              // Its volume can be mounted once.
              closed({ type: { const: 'Recreate' } }, 'type'),
            ],
          },
          template: closed(
            { metadata: closed({ labels }, 'labels'), spec: podSpec },
            'metadata',
            'spec',
          ),
        },
        'selector',
        'template',
      ),
    },
  ],
  PodDisruptionBudget: [
    'policy/v1',
    {
      spec: closed(
        {
          maxUnavailable: positive,
          unhealthyPodEvictionPolicy: { enum: ['IfHealthyBudget', 'AlwaysAllow'] },
          selector,
        },
        'maxUnavailable',
        'selector',
      ),
    },
  ],
  NetworkPolicy: [
    'networking.k8s.io/v1',
    {
      spec: closed(
        {
          podSelector: selector,
          policyTypes: { const: ['Ingress', 'Egress'] },
          ingress: list(closed({ from: list(peer), ports: policyPorts }, 'from', 'ports')),
          egress: list(closed({ to: list(peer), ports: policyPorts }, 'ports')),
        },
        'podSelector',
        'policyTypes',
        'ingress',
        'egress',
      ),
    },
  ],
}

export const manifestSchema: object = {
  oneOf: Object.entries(kinds).map(([kind, [apiVersion, rest]]) =>
    closed(
      {
        apiVersion: { const: apiVersion },
        kind: { const: kind },
        metadata,
        ...(rest as Readonly<Record<string, Schema>>),
      },
      'apiVersion',
      'kind',
      'metadata',
      ...['spec', 'rules', 'roleRef', 'subjects'].filter((name) => Object.hasOwn(rest, name)),
    ),
  ),
}

export const kustomizationSchema: object = closed(
  {
    apiVersion: { const: 'kustomize.config.k8s.io/v1beta1' },
    kind: { const: 'Kustomization' },
    namespace: dnsLabel,
    resources: list(text),
    labels: list(closed({ pairs: labels }, 'pairs')),
    images: list(closed({ name: text, newName: text, newTag: text }, 'name')),
    configMapGenerator: list(closed({ name: dnsLabel, files: list(text) }, 'name', 'files')),
    patches: list(
      closed(
        { target: closed({ kind: text, name: dnsLabel }, 'kind', 'name'), patch: text },
        'target',
        'patch',
      ),
    ),
    generatorOptions: closed({ disableNameSuffixHash: { const: true } }),
  },
  'apiVersion',
  'kind',
  'namespace',
)
