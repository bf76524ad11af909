import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  // The examples are compiled by test/client/package.test.ts, against the packed client.
  { ignores: ['dist/', 'docs/examples/', '.tap/', '.data/', 'node_modules/', 'coverage/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/require-await': 'off', // hooks are async so that a throw becomes a rejection
      '@typescript-eslint/no-unused-vars': ['error', {
        ignoreRestSiblings: true,
        argsIgnorePattern: '^_',
        varsIgnorePattern: '^_'
      }],
      'no-template-curly-in-string': 'off'
    }
  },
  {
    files: ['test/**/*.ts', 'src/local/iam/{requests,roles,template}.ts'], // JSON of any shape
    rules: {
      '@typescript-eslint/no-floating-promises': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-call': 'off'
    }
  }
)
