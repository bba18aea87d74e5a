#!/usr/bin/env python3
"""Holds the files of the shop's deployment to their schemas, and to each other: `.ci/deploy.py`.

No docker and no cluster is asked. Compose and Kubernetes are checked by their published schemas; what these do not see, such as a
Service without pods, is checked here. Then each file is broken in some way, and has to be found broken. Exits with 77
where the tools cannot be installed.
"""

import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from debian import wheel  # noqa: E402
from keep import Missing  # noqa: E402

KUBERNETES, VERSION = "kubernetes-validate==1.37.0", "1.33"
SCHEMAS = "check-jsonschema==0.39.0"

root = pathlib.Path(__file__).resolve().parent.parent
deploy = root / "examples/shop/deploy"
wrong = []


def say(where, what):
    wrong.append(f"{where}: {what}")


def compose(text):
    """What the schema of Compose, and its own names, have against a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        python = str(pathlib.Path(checker).parents[2] / "bin/python")
        command = [python, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file.name]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return [done.stdout.strip() or done.stderr.strip()]
    found, file = [], yaml.safe_load(text)
    services, volumes = file["services"], file.get("volumes", {})
    given = (deploy / "env.example").read_text()
    for variable in set(re.findall(r"\$\{(\w+)", text)):
        if f"{variable}=" not in given:
            found.append(f"env.example has no {variable}")
    for name, service in services.items():
        found += [f"{name} needs {other}, which is none" for other in service.get("depends_on", {}) if other not in services]
        for volume in service.get("volumes", []):
            if volume.split(":")[0] not in volumes:
                found.append(f"{name} has a volume that is none: {volume}")
        if "healthcheck" not in service and service.get("image") != "shop":
            found.append(f"nobody asks how {name} is")
        if service.get("image") == "shop":
            found += arguments(name, service["command"])
            if service["environment"].get("SHOP_LISTEN") != service["hostname"]:
                found.append(f"{name} listens where nobody finds it")
    return found


def arguments(name, words):
    """What is wrong with the arguments of the shop's program."""
    if words[:1] != ["run"] or words[1] not in ("gateway", "user", "product", "order", "payment", "mail", "bank"):
        return [f"{name} runs {words}"]
    flags = dict(zip(words[2::2], words[3::2]))
    return [f"{name}: no flag {flag}" for flag in flags if flag not in ("--replica", "--port")] + (
        [] if flags.get("--port") == "8080" else [f"{name} has another port than others ask"]
    )


def manifests(documents):
    """What the schemas of Kubernetes, and the manifests themselves, have against some documents."""
    found = []
    for document in documents:
        try:
            kubernetes_validate.validate(document, VERSION, strict=True)
        except kubernetes_validate.ValidationError as why:
            found.append(f"{name_of(document)}: {why.message} at {'.'.join(map(str, why.path))}")
    if found:
        return found
    kinds = {}
    for document in documents:
        kinds.setdefault(document["kind"], {})[document["metadata"]["name"]] = document
    pods = {name: it["spec"]["template"] for name, it in kinds["Deployment"].items()}
    labels = [pod["metadata"]["labels"] for pod in pods.values()]
    for name, deployment in kinds["Deployment"].items():
        selector = deployment["spec"]["selector"]["matchLabels"]
        if not selector.items() <= pods[name]["metadata"]["labels"].items():
            found.append(f"Deployment {name} does not select its own pods")
        if name not in kinds["PodDisruptionBudget"]:
            found.append(f"{name} has no PodDisruptionBudget")
        found += pod(name, pods[name]["spec"], kinds)
    for name, service in kinds["Service"].items():
        if not any(service["spec"]["selector"].items() <= it.items() for it in labels):
            found.append(f"Service {name} has no pods")
    for name, budget in kinds["PodDisruptionBudget"].items():
        if not any(budget["spec"]["selector"]["matchLabels"].items() <= it.items() for it in labels):
            found.append(f"PodDisruptionBudget {name} is for no pods")
    for variable, url in kinds["ConfigMap"]["shop"]["data"].items():
        host = re.fullmatch(r"http://([a-z-]+):8080", url)
        if variable.endswith("_URL") and url.startswith("http:") and not (host and host[1] in kinds["Service"]):
            found.append(f"{variable} names nobody: {url}")
    if "Secret" in kinds:
        found.append("a Secret is in a file")
    return found


def pod(name, spec, kinds):
    """What a pod of the shop has to have."""
    found, [container] = [], spec["containers"]
    security = {**spec["securityContext"], **container["securityContext"]}
    wanted = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
    found += [f"{name}: {key} is not {value}" for key, value in wanted.items() if security.get(key) != value]
    found += arguments(name, container["args"])
    paths = [container.get(f"{probe}Probe", {}).get("httpGet", {}).get("path") for probe in ("liveness", "readiness")]
    if paths != ["/healthz", "/readyz"]:
        found.append(f"{name} is asked how it is at {paths}")
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
        found.append(f"{name} has no bounds")
    drain = re.search(r"const DRAIN: Duration = Duration::from_secs\((\d+)\)", (root / "examples/shop/src/host.rs").read_text())
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    if spec["terminationGracePeriodSeconds"] < pause + 2 * int(drain[1]):
        found.append(f"{name} has no time to drain")
    known = {"ConfigMap": kinds["ConfigMap"], "Secret": {"shop": None}}
    for source in container["envFrom"]:
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if key in source and source[key]["name"] not in known[kind]:
                found.append(f"{name} wants {kind} {source[key]['name']}, which is none")
    return found


def name_of(document):
    return f"{document.get('kind')} {document.get('metadata', {}).get('name')}"


def dockerfile(text):
    """What an image of the shop must not lack. No schema knows a Dockerfile."""
    lines = [line for line in re.sub(r"\\\n", " ", text).splitlines() if line and not line.startswith("#")]
    stages = [line for line in lines if line.startswith("FROM ")]
    last = lines[lines.index(stages[-1]):]
    known = {"FROM", "RUN", "WORKDIR", "COPY", "ARG", "ENV", "USER", "STOPSIGNAL", "EXPOSE", "VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    found = [f"no instruction: {line}" for line in lines if line.split()[0] not in known]
    users = [line for line in last if line.startswith("USER ")]
    if not users or users[-1].split()[1].split(":")[0] in ("root", "0"):
        found.append("it runs as root")
    found += [f"it has no {word}" for word in ("HEALTHCHECK", "ENTRYPOINT", "CMD") if not any(it.startswith(word) for it in last)]
    for line in last:
        if line.startswith(("ENTRYPOINT", "CMD")):
            words = json.loads(line.split(maxsplit=1)[1])
            found += arguments("CMD", words) if line.startswith("CMD") else []
    for line in lines:
        stage = re.search(r"--from=(\w+)", line)
        if stage and not any(it.endswith(f" AS {stage[1]}") for it in stages):
            found.append(f"no stage {stage[1]}")
    if len(stages) < 2:
        found.append("what builds it is in it")
    return found


def broken(what, judge, cases):
    """Each case is found to be broken, or this would find nothing."""
    for case, value in cases.items():
        if not judge(value):
            say(what, f"{case} is not found")


def without(documents, kind, name, change):
    """The documents, one of them changed."""
    documents = copy.deepcopy(documents)
    change(next(it for it in documents if it["kind"] == kind and it["metadata"]["name"] == name))
    return documents


def container(deployment):
    return deployment["spec"]["template"]["spec"]["containers"][0]


def main():
    image, services = (deploy / "Dockerfile").read_text(), (deploy / "compose.yaml").read_text()
    documents = []
    for file in sorted((deploy / "k8s").glob("*.yaml")):
        documents += [it for it in yaml.safe_load_all(file.read_text()) if it]
    for where, found in (("Dockerfile", dockerfile(image)), ("compose.yaml", compose(services)), ("k8s", manifests(documents))):
        for what in found:
            say(where, what)
    if wrong:
        return
    broken("Dockerfile", dockerfile, {
        "a user that is root": re.sub(r"(?m)^USER .*", "USER root", image),
        "a stage that is none": image.replace("--from=build", "--from=biuld"),
        "a missing HEALTHCHECK": re.sub(r"(?m)^HEALTHCHECK", "LABEL", image),
        "a wrong service": image.replace('"gateway"', '"gatevay"'),
    })
    broken("compose.yaml", compose, {
        "a wrong key": services.replace("hostname: order", "hostnam: order"),
        "a volume that is none": services.replace('["order:/data"]', '["odrer:/data"]'),
        "a server that is none": services.replace("redis: {condition", "reddis: {condition"),
        "a variable that is none": services.replace("SHOP_TOKEN:?", "SHOP_TOKN:?"),
    })
    broken("k8s", manifests, {
        "a wrong field": without(documents, "Deployment", "order", lambda it: it["spec"].update(replica=3)),
        "a wrong type": without(documents, "Deployment", "order", lambda it: it["spec"].update(replicas="three")),
        "a Service without pods": without(documents, "Service", "order", lambda it: it["spec"]["selector"].update({"app.kubernetes.io/name": "odrer"})),
        "a pod of root": without(documents, "Deployment", "order", lambda it: it["spec"]["template"]["spec"]["securityContext"].update(runAsNonRoot=False)),
        "a probe elsewhere": without(documents, "Deployment", "order", lambda it: container(it)["readinessProbe"]["httpGet"].update(path="/")),
        "no time to drain": without(documents, "Deployment", "order", lambda it: it["spec"]["template"]["spec"].update(terminationGracePeriodSeconds=3)),
        "a Secret that is none": without(documents, "Deployment", "order", lambda it: container(it)["envFrom"][1]["secretRef"].update(name="shpo")),
        "a URL of nobody": without(documents, "ConfigMap", "shop", lambda it: it["data"].update(ORDER_URL="http://odrer:8080")),
    })
    print(f"{len(documents)} manifests of Kubernetes {VERSION}, compose.yaml, Dockerfile")


if __name__ == "__main__":
    try:
        validator, checker = wheel(KUBERNETES), wheel(SCHEMAS)
    except Missing as why:
        print(f"SKIPPED: {why}")
        sys.exit(77)
    sys.path.insert(0, validator)
    import kubernetes_validate
    import yaml

    main()
    for what in wrong:
        print(what)
    sys.exit(bool(wrong))
