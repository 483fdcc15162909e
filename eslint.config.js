import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.tap/', '.data/', 'bench/peers/'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['eslint.config.js'] } } },
    rules: {
      // A number or a boolean in a message reads as one would expect.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // `while (true)` is how a loop that ends by return is written.
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // tap's assertions and subtests return values nobody needs to await.
      '@typescript-eslint/no-floating-promises': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  { files: ['eslint.config.js', 'src/**/*.js', 'console/build.js'], ...tseslint.configs.disableTypeChecked },
  {
    files: ['console/build.js'],
    languageOptions: { globals: { process: 'readonly', URL: 'readonly' } },
  },
  {
    // It runs in a browser, and only there.
    files: ['src/api/playground/page.js'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          ...['location', 'history', 'localStorage', 'sessionStorage', 'fetch', 'URL', 'FormData'],
          ...[
            'AbortSignal',
            'KeyboardEvent',
            'addEventListener',
            'dispatchEvent',
            'setTimeout',
            'clearTimeout',
          ],
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
)
