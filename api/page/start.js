/** Starts Swagger UI with visitors kept apart, and names the controls that it leaves without a name. */

/* global SwaggerUIBundle */

const hasKeys = document.currentScript.dataset.keys === "true";

/** Each browser tab gets a namespace, so that two visitors do not change each other's objects. */
function ownNamespace() {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  const name = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.namespace ??= `page-${name}`;
  return sessionStorage.namespace;
}

/** With API keys the key decides about namespaces, so the examples stay as they are. */
function prepare(contract) {
  if (hasKeys) return contract;
  const namespace = ownNamespace();
  const json = contract.paths?.["/v1/sessions"]?.post?.requestBody?.content["application/json"];
  const [first] = Object.values(json?.examples ?? {});
  if (first) first.value = { namespace, ...first.value };
  const parameter = contract.components?.parameters?.NamespacePath;
  if (parameter) parameter.example = namespace;
  return contract;
}

/** All components that a part of the contract reaches by references. */
function componentsOf(part, all) {
  const found = { securitySchemes: all.securitySchemes };
  const waiting = [part];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value === "object" && value !== null) waiting.push(...Object.values(value));
    const [, group, name] = /^#\/components\/(\w+)\/(\w+)$/.exec(value) ?? [];
    if (name === undefined || found[group]?.[name]) continue;
    found[group] = { ...found[group], [name]: all[group][name] };
    waiting.push(all[group][name]);
  }
  return found;
}

/** Leaves what an operation needs, because Swagger UI reads all that it is given when one opens. */
function narrow(contract, [section, path, method]) {
  const operation = contract[section]?.[path]?.[method];
  if (section !== "paths" || !operation) return contract;
  const components = componentsOf(operation, contract.components);
  return { ...contract, paths: { [path]: { [method]: operation } }, components };
}

/** Swagger UI puts a link into the button of an operation, where a keyboard cannot reach it. */
const plugin = ({ React }) => ({
  components: {
    DeepLink: ({ text }) => React.createElement("span", null, text),
    // The contract has one server, the one that serves the page.
    ServersContainer: () => null,
  },
  afterLoad() {
    const { resolveSubtree } = this.fn;
    this.fn.resolveSubtree = (contract, path, options) =>
      resolveSubtree(narrow(contract, path), path, options);
  },
  statePlugins: {
    spec: {
      wrapActions: { updateJsonSpec: (update) => (contract) => update(prepare(contract)) },
    },
  },
});

// Names for screen readers

const nameOfParameter = (control) => control.closest("[data-param-name]")?.dataset.paramName;

const NAMES = [
  ["button.close-modal", () => "Close"],
  ["textarea.body-param__text", () => "Request body"],
  [".examples-select select", () => "Example"],
  ["select, input, textarea", (control) => nameOfParameter(control) ?? "Value"],
];

const isNamed = (control) => control.ariaLabel || control.labels?.length > 0;

function nameControls() {
  for (const [selector, nameOf] of NAMES) {
    for (const control of document.querySelectorAll(selector)) {
      if (!isNamed(control)) control.ariaLabel = nameOf(control);
    }
  }
  // The name that Swagger UI gives this button is not the one that it shows.
  for (const button of document.querySelectorAll(".modal-btn[aria-label]"))
    button.removeAttribute("aria-label");
  // Long lines scroll, also for a keyboard.
  for (const code of document.querySelectorAll("pre:not([tabindex])")) code.tabIndex = 0;
}

new MutationObserver(nameControls).observe(document.body, { childList: true, subtree: true });
SwaggerUIBundle({
  url: "/openapi.yaml",
  dom_id: "#page",
  deepLinking: true,
  // Tags and schemas open when they are asked for: all at once make the page slow.
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  plugins: [plugin],
  syntaxHighlight: { theme: "tomorrow-night" },
});
