// The reference, made from /openapi.json: nothing here is written a second time.

const here = location.origin;
const METHODS = new Set(["get", "post", "put", "patch", "delete"]);

/** @param {string} tag @param {Record<string, any>} [properties] @param {...(Node | string)} children */
function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
}

/** The inline part of Markdown that the contract uses: **strong**, `code`, bare paths of this server. */
function inline(text) {
    const nodes = [];
    let rest = text;
    for (let match; (match = /\*\*(.+?)\*\*|`([^`]+)`|(\/problems\/[a-z-]+)/.exec(rest));) {
        nodes.push(rest.slice(0, match.index));
        if (match[1]) nodes.push(make("strong", { textContent: match[1] }));
        else if (match[2]) nodes.push(make("code", { textContent: match[2] }));
        else nodes.push(make("a", { href: match[3], textContent: match[3] }));
        rest = rest.slice(match.index + match[0].length);
    }
    return [...nodes, rest];
}

/** Paragraphs, with the lines of each joined. */
function prose(text = "") {
    return text.trim().split(/\n\s*\n/).filter(Boolean).map((part) => make("p", {}, ...inline(part.replace(/\s*\n\s*/g, " "))));
}

class Contract {
    constructor(document) {
        this.document = document;
    }

    /** @param {any} node followed to where its references lead */
    resolve(node) {
        let found = node;
        for (let depth = 0; found?.$ref && depth < 20; depth += 1) {
            found = found.$ref.slice(2).split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], this.document);
        }
        return found ?? {};
    }

    get operations() {
        return Object.entries(this.document.paths).flatMap(([path, item]) =>
            Object.keys(item).filter((key) => METHODS.has(key)).map((method) => {
                const operation = item[method];
                const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => this.resolve(one));
                return { ...operation, path, method, parameters };
            }));
    }

    /** An example of a value: the contract's own, else made up from its type. */
    example(schema, depth = 0) {
        const found = this.resolve(schema);
        if (found.example !== undefined) return found.example;
        if (found.examples?.length) return found.examples[0];
        if (found.const !== undefined) return found.const;
        if (found.default !== undefined) return found.default;
        if (found.enum) return found.enum[0];
        if (depth > 6) return null;
        const inner = found.allOf ?? found.oneOf ?? found.anyOf;
        if (inner && !found.properties) {
            const parts = found.allOf ? inner : inner.slice(0, 1);
            const values = parts.map((part) => this.example(part, depth + 1));
            return values.every((value) => value && typeof value === "object" && !Array.isArray(value)) ? Object.assign({}, ...values) : values[0];
        }
        const [type] = [found.type].flat();
        if (found.properties) {
            const wanted = found.required ?? Object.keys(found.properties);
            return Object.fromEntries(wanted.filter((name) => found.properties[name]).map((name) => [name, this.example(found.properties[name], depth + 1)]));
        }
        if (type === "array") return [this.example(found.items ?? {}, depth + 1)];
        return { string: "…", integer: found.minimum ?? 0, number: found.minimum ?? 0, boolean: true }[type] ?? null;
    }
}

// MARK: Schemas

/** What kind of value it is, in words, with links to named schemas. */
function kind(contract, schema) {
    if (!schema || schema === true) return ["anything"];
    if (schema.$ref) {
        const name = schema.$ref.split("/").pop();
        return [make("a", { href: `#${name}`, textContent: name })];
    }
    for (const word of ["oneOf", "anyOf", "allOf"]) {
        if (!schema[word]) continue;
        return schema[word].flatMap((one, index) => [...(index ? [word === "allOf" ? " and " : " or "] : []), ...kind(contract, one)]);
    }
    const types = [schema.type].flat().filter(Boolean);
    const named = types.filter((type) => type !== "null");
    if (types.length && !named.length) return ["null"];
    const parts = named.includes("array") ? ["array of ", ...kind(contract, schema.items)] : [named.join(" or ") || "anything"];
    if (types.includes("null")) parts.push(" or null");
    const values = schema.enum?.filter((value) => value !== null);
    if (values) parts.push(": ", ...values.flatMap((value, index) => [...(index ? [", "] : []), make("code", { textContent: String(value) })]));
    return parts;
}

/** Bounds, as people read them. */
function bounds(schema) {
    const { minimum, maximum, minLength, maxLength, maxItems, pattern, format } = schema;
    const range = (low, high, unit) => (low !== undefined && high !== undefined ? `${low}…${high}${unit}` : low !== undefined ? `at least ${low}${unit}` : `at most ${high}${unit}`);
    const parts = [];
    if (minimum !== undefined || maximum !== undefined) parts.push(range(minimum, maximum, ""));
    if (minLength !== undefined || maxLength !== undefined) parts.push(range(minLength, maxLength, " characters"));
    if (maxItems !== undefined) parts.push(`at most ${maxItems}`);
    if (schema.default !== undefined) parts.push(`default ${JSON.stringify(schema.default)}`);
    if (format) parts.push(format);
    const nodes = parts.length ? [parts.join(", ")] : [];
    if (pattern) nodes.push(nodes.length ? ", " : "", make("code", { textContent: pattern }));
    return nodes;
}

function fieldRow(contract, name, schema, isRequired) {
    const resolved = contract.resolve(schema);
    const label = make("td", {}, make("code", { textContent: name }));
    if (isRequired) label.append(" ", make("span", { className: "required", textContent: "required" }));
    const about = make("td", {}, make("p", { className: "kind" }, ...kind(contract, schema)));
    const limits = bounds(resolved);
    if (limits.length) about.append(make("p", { className: "kind" }, ...limits));
    about.append(...prose(schema.description ?? (schema.$ref ? "" : resolved.description)));
    return make("tr", {}, label, about);
}

/** All fields of an object schema, those of its `allOf` parts included. */
function fields(contract, schema) {
    const resolved = contract.resolve(schema);
    const own = Object.entries(resolved.properties ?? {}).map(([name, one]) => [name, one, (resolved.required ?? []).includes(name)]);
    return [...(resolved.allOf ?? []).flatMap((part) => fields(contract, part)), ...own];
}

function fieldTable(contract, rows) {
    return make("div", { className: "scroll" }, make("table", {}, make("tbody", {}, ...rows.map((row) => fieldRow(contract, ...row)))));
}

function schemaBody(contract, schema) {
    const resolved = contract.resolve(schema);
    const rows = fields(contract, schema);
    if (rows.length) return [fieldTable(contract, rows)];
    const parts = make("p", {}, ...kind(contract, resolved));
    const limits = bounds(resolved);
    return limits.length ? [parts, make("p", { className: "kind" }, ...limits)] : [parts];
}

function code(text, canCopy = false) {
    const pre = make("pre", { tabIndex: 0 }, make("code", { textContent: text }));
    if (!canCopy) return pre;
    const button = make("button", { type: "button", textContent: "Copy" });
    button.addEventListener("click", async () => {
        try {
            await navigator.clipboard.writeText(text);
            button.textContent = "Copied";
        } catch {
            // Not allowed (no secure context): marked, so that Ctrl-C does it.
            getSelection()?.selectAllChildren(pre);
            button.textContent = "Ctrl-C";
        }
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    return make("div", { className: "copy" }, pre, button);
}

// MARK: Operations

const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
/** Variables that the quick start sets, for ids that only a running server can tell. */
const variables = { call: "$CALL", message: "$MESSAGE", room: "lobby" };
/** The same for what stands in bodies, by the schemas whose examples are meant. */
const variablesOf = { CallId: "$CALL", Cursor: "$CURSOR", MessageId: "$MESSAGE" };

/** A body as a word of the shell. */
function bodyWord(contract, value) {
    return Object.entries(variablesOf).reduce(
        (word, [name, variable]) => word.replaceAll(contract.example({ $ref: `#/components/schemas/${name}` }), () => `'"${variable}"'`),
        quote(JSON.stringify(value)));
}

/** A line to paste into a shell in which the quick start ran. */
function curl(contract, operation) {
    const path = operation.path.replace(/\{(\w+)\}/g, (_, name, at, path) => {
        const parameter = operation.parameters.find((one) => one.in === "path" && one.name === name);
        if (variables[name]) return variables[name];
        if (name === "user" && !path.startsWith("/v1/admin/")) return "me";
        return parameter?.example ?? contract.example(parameter?.schema ?? {}) ?? `$${name.toUpperCase()}`;
    });
    const required = operation.parameters.filter((one) => one.in === "query" && one.required);
    const query = required.map((one) => `${one.name}=${encodeURIComponent(String(one.example ?? contract.example(one.schema)))}`).join("&");
    const produces = Object.values(operation.responses).map((one) => contract.resolve(one)).flatMap((one) => Object.keys(one.content ?? {}));
    const isStream = produces.includes("text/event-stream");
    const parts = [`curl -sS${isStream ? "N" : ""}`];
    if (operation.responses["101"]) return `websocat "${here.replace(/^http/, "ws")}${path}" -H "Authorization: Bearer $TOKEN"`;
    const body = contract.resolve(operation.requestBody).content?.["application/json"];
    if (operation.method !== "get" && !(operation.method === "post" && body)) parts.push(`-X ${operation.method.toUpperCase()}`);
    parts.push(`"${here}${path}${query ? `?${query}` : ""}"`);
    const security = operation.security ?? contract.document.security ?? [];
    if (security.length && security.some((one) => Object.keys(one).length)) parts.push(`-H "Authorization: Bearer $TOKEN"`);
    if (body) {
        const [named] = Object.values(body.examples ?? {});
        const value = body.example ?? contract.resolve(named)?.value ?? contract.example(body.schema);
        parts.push(`-d ${bodyWord(contract, value)}`);
    }
    return parts.join(" ");
}

function parametersOf(contract, operation) {
    if (!operation.parameters.length) return [];
    const rows = operation.parameters.map((one) => [
        one.in === "query" ? `?${one.name}` : one.name, { ...one.schema, description: one.description }, one.required]);
    return [make("h4", { textContent: "Parameters" }), fieldTable(contract, rows)];
}

function requestOf(contract, operation) {
    const request = contract.resolve(operation.requestBody);
    const [type, media] = Object.entries(request.content ?? {})[0] ?? [];
    if (!media) return [];
    const heading = make("h4", { textContent: request.required ? "Body" : "Body (optional)" });
    heading.append(" ", make("span", { className: "tag" }, type, " ", ...(media.schema?.$ref ? kind(contract, media.schema) : [])));
    const samples = Object.entries(media.examples ?? {}).map(([name, one]) =>
        make("details", {}, make("summary", { textContent: `Example: ${name}` }), code(JSON.stringify(contract.resolve(one).value, null, 2))));
    return [heading, ...schemaBody(contract, media.schema), ...samples];
}

/** Headers that tell something of this answer: not those that every one has, or every one that is counted. */
const headersOf = (response) => Object.keys(response.headers ?? {}).filter((name) => !["X-Request-Id", "RateLimit", "RateLimit-Policy"].includes(name));

function answerOf(contract, response) {
    const parts = [];
    for (const [type, media] of Object.entries(response.content ?? {})) {
        parts.push(make("p", { className: "kind" }, make("code", { textContent: type }), " ", ...kind(contract, media.schema)));
    }
    const names = headersOf(response);
    if (names.length) parts.push(make("p", { className: "kind", textContent: `Headers: ${names.join(", ")}` }));
    return parts;
}

function responsesOf(contract, operation) {
    const rows = Object.entries(operation.responses).filter(([status]) => Number(status) < 400).map(([status, one]) => {
        const response = contract.resolve(one);
        return make("tr", {}, make("td", {}, make("code", { textContent: status })), make("td", {}, ...prose(response.description), ...answerOf(contract, response)));
    });
    const success = Object.entries(operation.responses).map(([, one]) => contract.resolve(one).content?.["application/json"]).find(Boolean);
    const nodes = [make("h4", { textContent: "Answers" }), make("div", { className: "scroll" }, make("table", {}, make("tbody", {}, ...rows)))];
    if (success?.schema) {
        const [named] = Object.values(success.examples ?? {});
        const value = success.example ?? (named ? contract.resolve(named).value : contract.example(success.schema));
        nodes.push(make("details", {}, make("summary", { textContent: "What an answer looks like" }), code(JSON.stringify(value, null, 2))));
    }
    const refusals = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400)
        .map(([status, one]) => [status, ...headersOf(contract.resolve(one)).map((name) => `(${name})`)].join(" "));
    if (refusals.length) nodes.push(make("p", { className: "kind", textContent: `Refusals: ${refusals.join(", ")}` }));
    const problems = operation["x-problems"] ?? [];
    if (problems.length) {
        nodes.push(make("p", { className: "kind" }, "Problems: ", ...problems.flatMap((slug, index) => [...(index ? [", "] : []), make("a", { href: `/problems/${slug}`, textContent: slug })])));
    }
    return nodes;
}

/** What an API key must be allowed. */
function scopesOf(operation) {
    const scopes = operation["x-scopes"] ?? [];
    if (!scopes.length) return [];
    return [make("p", { className: "kind" }, "API key scope: ", ...scopes.flatMap((scope, index) => [...(index ? [", "] : []), make("code", { textContent: scope })]))];
}

function operationCard(contract, operation) {
    const id = operation.operationId;
    return make(
        "article", { className: "operation", id },
        make("h3", {}, make("a", { href: `#${id}`, textContent: operation.summary ?? id })),
        make("p", { className: "route" },
            make("span", { className: `method ${operation.method}`, textContent: operation.method.toUpperCase() }),
            make("code", { textContent: operation.path }), " ", make("span", { className: "tag", textContent: id })),
        ...prose(operation.description),
        ...scopesOf(operation),
        code(curl(contract, operation), true),
        ...parametersOf(contract, operation), ...requestOf(contract, operation), ...responsesOf(contract, operation));
}

// MARK: The page

function quickStart() {
    const lines = [
        `URL=${here}`,
        `TOKEN=$(curl -sS "$URL/v1/users" -d "{\\"username\\":\\"siti-$RANDOM\\"}" | jq -r .accessToken)`,
        `curl -sS -X PUT "$URL/v1/rooms/lobby/members/me" -H "Authorization: Bearer $TOKEN"`,
        `MESSAGE=$(curl -sS "$URL/v1/rooms/lobby/messages" -H "Authorization: Bearer $TOKEN" -d '{"content":"Halo"}' | jq -r .id)`,
        `CURSOR=$(curl -sS "$URL/v1/events?wait=0" -H "Authorization: Bearer $TOKEN" | jq -r .cursor)`,
        `CALL=$(curl -sS "$URL/v1/rooms/lobby/calls" -H "Authorization: Bearer $TOKEN" -d '{"media":{"audio":true,"video":true}}' | jq -r .call.id)`,
        `curl -sSN "$URL/v1/rooms/lobby/events/stream" -H "Authorization: Bearer $TOKEN"`,
    ];
    return make(
        "section", { id: "quick-start" }, make("h2", { textContent: "Quick start" }),
        make("p", {}, "Paste this into a shell (it needs ", make("code", { textContent: "curl" }), " and ", make("code", { textContent: "jq" }), "): you are a guest in the lobby, have said hello, called, and listen. The variables are those of the lines below."),
        code(lines.join("\n"), true));
}

/** Which schemas are events, by the discriminator of the stream's. */
function eventSection(contract) {
    const mapping = contract.document.components.schemas.StreamEvent?.discriminator?.mapping ?? {};
    /** Types that are described together, by the reference to their schema. @type {Map<string, string[]>} */
    const together = new Map();
    for (const [type, reference] of Object.entries(mapping)) together.set(reference, [...(together.get(reference) ?? []), type]);
    const cards = [...together].map(([reference, types]) => {
        const names = types.flatMap((type, index) => [...(index ? [" "] : []), make("a", { id: `event-${type}`, href: `#event-${type}` }, make("code", { textContent: type }))]);
        const card = make("article", { className: "event" }, make("h3", {}, ...names), ...prose(contract.resolve({ $ref: reference }).description));
        const data = fields(contract, { $ref: reference }).find(([name]) => name === "data")?.[1];
        if (data) card.append(make("h4", { textContent: "data" }), ...(data.$ref ? [make("p", {}, ...kind(contract, data))] : schemaBody(contract, data)));
        return card;
    });
    return make("section", { id: "event-catalogue" }, make("h2", { textContent: "Event catalogue" }), ...cards);
}

function schemaSection(contract) {
    const cards = Object.entries(contract.document.components.schemas).map(([name, schema]) => make(
        "article", { className: "schema", id: name },
        make("h3", {}, make("a", { href: `#${name}`, textContent: name })), ...prose(schema.description), ...schemaBody(contract, schema)));
    return make("section", { id: "schemas" }, make("h2", { textContent: "Schemas" }), ...cards);
}

function problemSection(contract) {
    const slugs = contract.resolve(contract.document.components.schemas.ProblemSlug).enum ?? [];
    const used = contract.operations;
    const rows = slugs.map((slug) => {
        const by = used.filter((one) => one["x-problems"]?.includes(slug));
        const shown = by.length > 6 ? [`${by.length} operations`] : by.flatMap((one, index) => [...(index ? [", "] : []), make("a", { href: `#${one.operationId}`, textContent: one.operationId })]);
        return make("tr", { id: `problem-${slug}` }, make("td", {}, make("a", { href: `/problems/${slug}` }, make("code", { textContent: slug }))), make("td", {}, ...(shown.length ? shown : ["everywhere"])));
    });
    return make("section", { id: "problems" }, make("h2", { textContent: "Problems" }),
        make("p", { textContent: "Each has a page that says what happened and what to do." }),
        make("div", { className: "scroll" }, make("table", {}, make("tbody", {}, ...rows))));
}

function contentsGroup(title, href, links) {
    const list = make("ul", {}, ...links.map(([target, text]) => make("li", {}, make("a", { href: `#${target}`, textContent: text }))));
    return make("div", { className: "group" }, make("h2", {}, make("a", { href: `#${href}`, textContent: title })), list);
}

function build(contract) {
    const { info, tags } = contract.document;
    const content = document.getElementById("content");
    const sections = tags.map((tag) => {
        const operations = contract.operations.filter((one) => one.tags?.includes(tag.name));
        const section = make("section", { id: `tag-${tag.name}` }, make("h2", { textContent: tag.name[0].toUpperCase() + tag.name.slice(1) }), ...prose(tag.description), ...operations.map((one) => operationCard(contract, one)));
        return { tag, operations, section };
    });
    const about = make("section", { id: "about" }, make("h2", { textContent: `${info.title} ${info.version}` }), ...prose(info.description),
        make("p", {}, "The contract: ", make("a", { href: "/openapi.yaml", textContent: "/openapi.yaml" }), ", ", make("a", { href: "/openapi.json", textContent: "/openapi.json" }), ". In a browser: ", make("a", { href: "/client/comblang.js", textContent: "/client/comblang.js" }), "."));
    content.replaceChildren(about, quickStart(), ...sections.map((one) => one.section), eventSection(contract), problemSection(contract), schemaSection(contract));
    content.append(make("p", { id: "nothing", className: "none", textContent: "Nothing matches.", hidden: true }));
    document.getElementById("contents").replaceChildren(
        contentsGroup("Start", "about", [["about", "Principles"], ["quick-start", "Quick start"]]),
        ...sections.map(({ tag, operations }) => contentsGroup(tag.name[0].toUpperCase() + tag.name.slice(1), `tag-${tag.name}`, operations.map((one) => [one.operationId, one.summary]))),
        contentsGroup("Reference", "event-catalogue", [["event-catalogue", "Event catalogue"], ["problems", "Problems"], ["schemas", "Schemas"]]));
}

/** Shows what has all the words of the search. */
function search(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (element) => words.every((word) => element.textContent.toLowerCase().includes(word));
    let count = 0;
    for (const section of document.querySelectorAll("main > section")) {
        const parts = section.querySelectorAll(".operation, .schema, .event, #problems tr");
        for (const part of parts) part.hidden = words.length > 0 && !matches(part);
        section.hidden = words.length > 0 && (parts.length ? [...parts].every((part) => part.hidden) : !matches(section));
        if (!section.hidden) count += 1;
    }
    for (const link of document.querySelectorAll("#contents li")) {
        link.hidden = document.getElementById(link.firstChild.getAttribute("href").slice(1))?.closest("[hidden]") !== null;
    }
    for (const group of document.querySelectorAll("#contents .group")) group.hidden = [...group.querySelectorAll("li")].every((link) => link.hidden);
    document.getElementById("nothing").hidden = count > 0;
}

const field = document.getElementById("search");
field.addEventListener("input", () => search(field.value));
document.getElementById("search-form").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== field) {
        event.preventDefault();
        field.focus();
    }
});

try {
    const response = await fetch("/openapi.json");
    if (!response.ok) throw new Error(`/openapi.json: ${response.status}`);
    build(new Contract(await response.json()));
    if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
} catch (error) {
    document.getElementById("content").textContent = `The contract could not be read: ${error.message}`;
}
