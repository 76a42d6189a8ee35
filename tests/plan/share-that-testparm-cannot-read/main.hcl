host "nas" {
  address = "192.0.2.5"
}

media_share "iso" {
  host  = host.nas
  path  = "/srv/media"
  share = "media"
  user {
    name     = "larder"
    password = "swordfish-17"
  }
}
