$rnc summary resnet20 --set =3
