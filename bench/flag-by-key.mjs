import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk'

/** The flag `use-redis`, decided in memory: users whose targeting key begins with `on` are on the new side. */
export async function flagByKey() {
  await OpenFeature.setProviderAndWait(
    new InMemoryProvider({
      'use-redis': {
        disabled: false,
        variants: { on: true, off: false },
        defaultVariant: 'off',
        contextEvaluator: ({ targetingKey }) => (targetingKey.startsWith('on') ? 'on' : 'off'),
      },
    }),
  )
}
