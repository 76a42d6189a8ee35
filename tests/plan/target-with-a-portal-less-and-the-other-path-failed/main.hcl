host "hv1" {
  address = "192.0.2.11"
}

host "hv2" {
  address = "192.0.2.12"
}

iscsi_target "array" {
  hosts   = [host.hv1]
  iqn     = "iqn.2026-01.lab.example:array"
  portals = ["10.0.1.5:3260"]
  chap {
    username = "larder"
    password = "twelve-bytes"
  }
}
