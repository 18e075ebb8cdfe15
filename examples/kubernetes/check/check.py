"""Checks the files of this folder, and takes out of them what runs in their pods.

check.py validate          every manifest against Kubernetes' schemas, and what belongs together
check.py render NAME FILE  writes the configuration that NAME's pod runs, as its chart would
check.py probe PORT        asks what the probes and Prometheus ask
"""

import pathlib
import subprocess
import sys
import urllib.request

import yaml

HERE = pathlib.Path(__file__).resolve().parent.parent
# The oldest with ReadWriteOncePod for good, and the one that mounts images by default.
OLDEST, WITH_IMAGES, NEWEST = "1.29", "1.35", "1.37"
NAME, LABEL = "m365-audit", "app.kubernetes.io/name"
# Who has their schemas in CRDs of their own, which the validator has not.
CUSTOM = {
    "monitoring.coreos.com/v1",
    "cilium.io/v2",
    "fluentbit.fluent.io/v1alpha2",
    "kustomize.config.k8s.io/v1beta1",
}


def read(name):
    return [document for document in yaml.safe_load_all((HERE / name).read_text()) if document]


def values(*names):
    """Values of several files, as Helm lays them over one another."""
    whole = {}
    for name in names:
        whole = laid_over(whole, read(name)[0])
    return whole


def laid_over(under, over):
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return under | {key: laid_over(under.get(key), value) for key, value in over.items()}


def check_keys(name, chart):
    """Values that a chart does not know it ignores without a word."""
    known = set((HERE / "check" / chart).read_text().split())

    def walk(value, path):
        if path in known:
            return
        assert path == "" or any(key.startswith(path + "/") for key in known), (
            f"{name}: the chart has no value {path}"
        )
        assert isinstance(value, dict), f"{name}: {path} is no mapping in the chart"
        for key, inner in value.items():
            walk(inner, f"{path}/{key}")

    walk(read(name)[0], "")


def aggregator_pod(values):
    """What the chart fluent-bit-aggregator makes of values, as far as they decide it."""
    ports = [{"name": "http", "containerPort": 2020, "protocol": "TCP"}]
    for port in values["service"]["additionalPorts"]:
        ports.append({key: port[key] for key in ("name", "containerPort", "protocol")})
    container = {
        "name": "aggregator",
        "image": "{repository}:{tag}".format(**values["image"]),
        "args": ["--workdir=/fluent-bit/etc", "--config=/fluent-bit/etc/conf/fluent-bit.yaml"],
        "ports": ports,
        "livenessProbe": values["livenessProbe"],
        "readinessProbe": values["readinessProbe"],
        "resources": values["resources"],
        "volumeMounts": [{"name": "data", "mountPath": "/fluent-bit/data"}]
        + values["extraVolumeMounts"],
    }
    volumes = [{"name": "data", "emptyDir": {}}] + values["extraVolumes"]
    return pod(container, volumes, values["podSecurityContext"])


def fluent_bit_pod(values):
    """The same for the chart fluent-bit."""
    ports = [{"name": "http", "containerPort": 2020, "protocol": "TCP"}]
    for port in values["extraPorts"]:
        ports.append({key: port[key] for key in ("name", "containerPort", "protocol")})
    container = {
        "name": "fluent-bit",
        "image": "{repository}:{tag}".format(**values["image"]),
        "args": values["args"],
        "ports": ports,
        "livenessProbe": values["livenessProbe"],
        "readinessProbe": values["readinessProbe"],
        "resources": values["resources"],
        "securityContext": values["securityContext"],
        "volumeMounts": values["extraVolumeMounts"],
    }
    return pod(container, values["extraVolumes"], values["podSecurityContext"])


def operator_pod(collector):
    """The same for the operator's Collector."""
    spec = collector["spec"]
    container = {
        "name": "fluent-bit",
        "image": spec["image"],
        "args": spec["args"],
        "ports": spec["ports"],
        "volumeMounts": spec["volumesMounts"],
    }
    return pod(container, spec["volumes"], spec["securityContext"])


def pod(container, volumes, security):
    spec = {"containers": [container], "volumes": volumes, "securityContext": security}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME}, "spec": spec}


def check_pod(what, spec):
    """What no schema says: ports that probes name, and volumes that mounts name."""
    volumes = {volume["name"] for volume in spec["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in spec.get("claims", [])}
    for container in spec["containers"]:
        ports = {port["name"] for port in container["ports"]}
        for probe in ("livenessProbe", "readinessProbe"):
            if probe in container:
                named = container[probe]["httpGet"]["port"]
                assert named in ports, f"{what}: {probe} asks at {named}, which is no port"
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        assert mounts == volumes, f"{what}: mounted {mounts}, there are {volumes}"
    assert spec["securityContext"]["runAsNonRoot"] is True, f"{what}: may run as root"


def validate():
    import kubernetes_validate

    def valid(what, document, versions):
        for version in versions:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                sys.exit(f"{what}, Kubernetes {version}: {error.message}")

    count = 0
    for path in sorted(HERE.glob("**/*.yaml")):
        name = str(path.relative_to(HERE))
        for document in read(name):
            if "apiVersion" not in document or document["apiVersion"] in CUSTOM:
                continue
            # What kustomize adds is not there yet.
            if document["kind"] == "StatefulSet":
                document["spec"]["selector"] = {"matchLabels": {LABEL: NAME}}
                document["spec"]["template"]["metadata"] = {"labels": {LABEL: NAME}}
            valid(name, document, (OLDEST, NEWEST))
            count += 1
    assert count >= 6, f"only {count} manifests"

    check_keys("fluent-bit-aggregator.yaml", "fluent-bit-aggregator-1.1.1.txt")
    check_keys("image-volume.yaml", "fluent-bit-aggregator-1.1.1.txt")
    check_keys("fluent-bit.yaml", "fluent-bit-0.58.1.txt")
    pods = {
        "fluent-bit-aggregator.yaml": aggregator_pod(values("fluent-bit-aggregator.yaml")),
        "fluent-bit.yaml": fluent_bit_pod(values("fluent-bit.yaml")),
        "fluent-operator.yaml": operator_pod(read("fluent-operator.yaml")[0]),
    }
    with_image = aggregator_pod(values("fluent-bit-aggregator.yaml", "image-volume.yaml"))
    for what, document in pods.items():
        valid(what, document, (OLDEST, NEWEST))
        check_pod(what, document["spec"])
    valid("image-volume.yaml", with_image, (WITH_IMAGES, NEWEST))
    check_pod("image-volume.yaml", with_image["spec"])

    whole = built()
    for document in whole:
        valid(document["kind"], document, (OLDEST, NEWEST))
    kinds = {document["kind"]: document for document in whole}
    stateful = kinds["StatefulSet"]["spec"]
    spec = stateful["template"]["spec"]
    check_pod("m365-audit", spec | {"claims": stateful["volumeClaimTemplates"]})
    assert stateful["replicas"] == 1
    labels = stateful["template"]["metadata"]["labels"].items()
    for selector in (
        kinds["Service"]["spec"]["selector"],
        kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        read("m365-audit/service-monitor.yaml")[0]["spec"]["selector"]["matchLabels"],
        read("network/cilium.yaml")[0]["spec"]["endpointSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels, f"{selector} is not our pod"
    ports = {port["name"] for port in kinds["Service"]["spec"]["ports"]}
    monitored = read("m365-audit/service-monitor.yaml")[0]["spec"]["endpoints"]
    assert {endpoint["port"] for endpoint in monitored} <= ports
    named = spec["volumes"][0]["configMap"]["name"]
    assert named == kinds["ConfigMap"]["metadata"]["name"], f"no configuration {named}"
    print(f"{count + len(pods) + 1 + len(whole)} manifests are valid")


def built():
    """What kustomize makes of the folder m365-audit; without kubectl its parts."""
    try:
        text = subprocess.run(
            ["kubectl", "kustomize", HERE / "m365-audit"], check=True, capture_output=True
        ).stdout
    except FileNotFoundError:
        sys.exit("kubectl is missing")
    return list(yaml.safe_load_all(text))


def render(name, file):
    """Writes what a pod runs."""
    match name:
        case "fluent-bit-aggregator":
            config = values("fluent-bit-aggregator.yaml")["config"]
            whole = {
                "env": {"STORAGE_PATH": "/fluent-bit/data"},
                "service": config["service"]
                | {
                    "daemon": False,
                    "http_server": True,
                    "http_Port": 2020,
                    "hot_reload": False,
                    "storage.path": "${STORAGE_PATH}",
                },
                "plugins": config["plugins"],
                "parsers": [],
                "multiline_parsers": [],
                "pipeline": {"filters": []} | config["pipeline"],
                "upstream_servers": [],
                "includes": [],
            }
            text = yaml.safe_dump(whole)
        case "fluent-bit":
            config = values("fluent-bit.yaml")["config"]
            parts = ("service", "inputs", "filters", "outputs")
            text = "\n".join(config[part] for part in parts)
            for key, value in {"flush": 1, "logLevel": "info", "metricsPort": 2020}.items():
                text = text.replace(f"{{{{ .Values.{key} }}}}", str(value))
        case "fluent-operator":
            _, config, taken, given = read("fluent-operator.yaml")
            service = config["spec"]["service"]
            storage = service["storage"]
            lines = [
                f"Flush {service['flushSeconds']}",
                f"Log_Level {service['logLevel']}",
                f"Http_Server {service['httpServer']}",
                f"Http_Listen {service['httpListen']}",
                f"Http_Port {service['httpPort']}",
            ] + [f"storage.{key} {value}" for key, value in storage.items()]
            text = "[Service]\n" + "".join(f"    {line}\n" for line in lines)
            for kind, document in (("Input", taken), ("Output", given)):
                plugin = document["spec"]["customPlugin"]["config"].splitlines()
                text += f"[{kind}]\n" + "".join(f"    {line.strip()}\n" for line in plugin)
        case "m365-audit":
            text = (HERE / "m365-audit/m365-audit.toml").read_text()
        case _:
            sys.exit(f"{name}: unknown")
    assert "{{" not in text, text
    pathlib.Path(file).write_text(text)


def probe(port):
    for path, holds in (("/healthz", ""), ("/readyz", ""), ("/metrics", "m365_audit_ready")):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            text = answer.read().decode()
        assert holds in text, f"{path}: {text}"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["validate"]:
            validate()
        case ["render", name, file]:
            render(name, file)
        case ["probe", port]:
            probe(port)
        case _:
            sys.exit(__doc__)
