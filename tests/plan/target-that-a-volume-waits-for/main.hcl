host "hv1" {
  address = "192.0.2.11"
}

host "hv2" {
  address = "192.0.2.12"
}

iscsi_target "array" {
  hosts   = [host.hv1]
  iqn     = "iqn.2026-01.lab.example:array"
  portals = ["10.0.0.5:3260"]
  chap {
    username = "larder"
    password = "twelve-bytes"
  }
}

image_storage "main" {
  hosts = [host.hv1]
}

external_volume "disk" {
  storage     = image_storage.main
  mount_point = "/srv/disk"
  depends_on  = [iscsi_target.array]
  device {
    path   = "/dev/disk/by-id/wwn-0x600140587b6144a139142cd8fae5f23c"
    fstype = "ext4"
  }
}
